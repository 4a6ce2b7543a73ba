import { Empty, Spin } from "antd";
import type { ReactNode } from "react";
import type { CombinedError } from "urql";
import { useWords } from "../lib/i18n";
import { Failure } from "./Failure";

interface Props<T> {
  readonly result: { readonly data?: T | undefined; readonly error?: CombinedError | undefined; readonly fetching: boolean };
  readonly retry: () => void;
  readonly children: (data: T) => ReactNode;
}

/** What a query came to: still loading, failed, or its data; data that is there stays when reading it again fails. */
export function Result<T>({ result, retry, children }: Props<T>) {
  const words = useWords();
  const { data, error } = result;
  return (
    <>
      {error && <Failure error={error} retry={retry} />}
      {data ? children(data) : !error && <div className="state"><Spin description={words.loading} /></div>}
    </>
  );
}

export function Nothing({ text, children }: { readonly text: string; readonly children?: ReactNode }) {
  return <div className="state"><Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={text}>{children}</Empty></div>;
}
