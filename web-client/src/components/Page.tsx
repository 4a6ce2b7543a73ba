import type { ReactNode } from "react";
import { useEffect } from "react";

interface Props {
  readonly title: string;
  readonly mark?: ReactNode;
  readonly crumb?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** The frame of a page: what it is about, what can be done, and the rest. */
export function Page({ title, mark, crumb, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · softacs`;
  }, [title]);
  return (
    <>
      <div className="head">
        <div>
          {crumb && <div className="crumb">{crumb}</div>}
          <h1>{title}{mark}</h1>
        </div>
        {actions}
      </div>
      {children}
    </>
  );
}

export function Panel({ title, extra, children, flush = false }: { readonly title?: string; readonly extra?: ReactNode; readonly children: ReactNode; readonly flush?: boolean }) {
  return (
    <section className="panel">
      {title && <h2><span>{title}</span>{extra}</h2>}
      {flush ? children : <div className="body">{children}</div>}
    </section>
  );
}

/** Names and values; a row without a value shows a dash. */
export function Facts({ rows }: { readonly rows: ReadonlyArray<readonly [string, ReactNode]> }) {
  return (
    <dl className="facts">
      {rows.map(([name, value]) => [
        <dt key={`${name}:`}>{name}</dt>,
        <dd key={name}>{value === null || value === undefined || value === "" ? <span className="quiet">–</span> : value}</dd>,
      ])}
    </dl>
  );
}
