import { App as AntApp, ConfigProvider, Spin } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { Provider } from "urql";
import { SignIn } from "../features/session/SignIn";
import { newClient } from "../lib/client";
import { useLanguage } from "../lib/i18n";
import type { Language } from "../lib/i18n";
import { closeLive } from "../lib/live";
import { Rights } from "../lib/rights";
import { current, subscribe } from "../lib/session";
import type { Session } from "../lib/session";
import { Shell } from "./Shell";

const locales: Record<Language, typeof enUS> = { "zh-CN": zhCN, en: enUS };

const theme = {
  token: {
    colorPrimary: "#0b6e8f", colorLink: "#0b6e8f", borderRadius: 4, fontSize: 13, colorTextPlaceholder: "#8a97a0",
    fontFamily: '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif',
  },
  components: { Tag: { defaultBg: "#eef1f4" }, Table: { headerBg: "#f7f9fa", cellPaddingBlockSM: 6, cellPaddingInlineSM: 10 } },
};

/** Decides between signing in and the pages; the address stays, so that a deep link is reached after signing in. */
export function App() {
  const { language } = useLanguage();
  const session = useSyncExternalStore(subscribe, current);
  return (
    <ConfigProvider locale={locales[language]} theme={theme} button={{ autoInsertSpace: false }}>
      <AntApp>
        {session.status === "starting" && <div className="state"><Spin size="large" /></div>}
        {session.status === "signedOut" && <SignIn ended={session.ended} />}
        {session.status === "signedIn" && <SignedIn key={session.name} session={session} />}
      </AntApp>
    </ConfigProvider>
  );
}

function SignedIn({ session }: { readonly session: Extract<Session, { status: "signedIn" }> }) {
  const client = useMemo(() => newClient(), []);
  useEffect(() => closeLive, []);
  return <Provider value={client}><Rights value={session.permissions}><Shell name={session.name} /></Rights></Provider>;
}
