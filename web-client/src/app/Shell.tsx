import { ApiOutlined, AuditOutlined, DesktopOutlined, LogoutOutlined, TeamOutlined } from "@ant-design/icons";
import { Button, Result } from "antd";
import { lazy, Suspense, useEffect, useRef } from "react";
import type { ReactNode } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { LanguageSwitch } from "../components/LanguageSwitch";
import { SearchBox } from "../features/search/SearchBox";
import type { Permission } from "../lib/documents";
import { lab } from "../lib/environment";
import { useWords } from "../lib/i18n";
import { useMay } from "../lib/rights";
import { signOut } from "../lib/session";

const AccountList = lazy(() => import("../features/accounts/AccountList"));
const AccountDetail = lazy(() => import("../features/accounts/AccountDetail"));
const DeviceList = lazy(() => import("../features/devices/DeviceList"));
const DeviceDetail = lazy(() => import("../features/devices/DeviceDetail"));
const AuditLog = lazy(() => import("../features/audit/AuditLog"));
const SearchPage = lazy(() => import("../features/search/SearchPage"));
const LiveEvents = lazy(() => import("../features/events/LiveEvents"));

const places = [
  { path: "/accounts", need: "ACCOUNT_READ", word: "accounts", icon: <TeamOutlined aria-hidden /> },
  { path: "/devices", need: "DEVICE_READ", word: "devices", icon: <DesktopOutlined aria-hidden /> },
  { path: "/events", need: "EVENT_READ", word: "events", icon: <ApiOutlined aria-hidden /> },
  { path: "/audit", need: "AUDIT_READ", word: "audit", icon: <AuditOutlined aria-hidden /> },
] as const satisfies ReadonlyArray<{ path: string; need: Permission; word: string; icon: ReactNode }>;

/** What stands around every page: where one is, where one can go, who one is. */
export function Shell({ name }: { readonly name: string }) {
  const words = useWords();
  const may = useMay();
  const [location] = useLocation();
  const main = useRef<HTMLElement>(null);
  const place = location.split("/")[1];
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [location]);
  const open = places.filter((p) => may(p.need));
  return (
    <>
      <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{words.skip}</a>
      {lab && <div className="lab" role="note">{words.labBanner}</div>}
      <header className="bar">
        <span className="brand">softacs<small>{words.product}</small></span>
        <nav aria-label={words.navigation}>
          {open.map((p) => (
            <Link key={p.path} href={p.path} {...(p.path === `/${place ?? ""}` ? { "aria-current": "page" as const } : {})}>{p.icon}{words.nav[p.word]}</Link>
          ))}
        </nav>
        {may("ACCOUNT_READ") && <SearchBox />}
        <div className="user">
          <LanguageSwitch />
          <span>{name}</span>
          <Button size="small" ghost icon={<LogoutOutlined aria-hidden />} onClick={() => void signOut()}>{words.session.signOut}</Button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Suspense fallback={<div className="state">{words.loading}</div>}>
          <Switch>
            <Route path="/"><Redirect to={open[0]?.path ?? "/none"} replace /></Route>
            <Route path="/accounts"><Guard need="ACCOUNT_READ"><AccountList /></Guard></Route>
            <Route path="/accounts/:id">{({ id }) => <Guard need="ACCOUNT_READ"><AccountDetail key={id} id={id} /></Guard>}</Route>
            <Route path="/devices"><Guard need="DEVICE_READ"><DeviceList /></Guard></Route>
            <Route path="/devices/:id">{({ id }) => <Guard need="DEVICE_READ"><DeviceDetail key={id} id={id} /></Guard>}</Route>
            <Route path="/events"><Guard need="EVENT_READ"><LiveEvents /></Guard></Route>
            <Route path="/audit"><Guard need="AUDIT_READ"><AuditLog /></Guard></Route>
            <Route path="/search"><Guard need="ACCOUNT_READ"><SearchPage /></Guard></Route>
            <Route><Missing /></Route>
          </Switch>
        </Suspense>
      </main>
    </>
  );
}

function Guard({ need, children }: { readonly need: Permission; readonly children: ReactNode }) {
  const words = useWords();
  return useMay()(need) ? children : <Result status="403" title={words.noPermission} />;
}

export function Missing() {
  const words = useWords();
  return <Result status="404" title={words.notFound} subTitle={words.notFoundHint} extra={<Link href="/">{words.toOverview}</Link>} />;
}
