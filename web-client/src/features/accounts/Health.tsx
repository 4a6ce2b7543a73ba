import { Button, Space } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { Link } from "wouter";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { AccountHealthDocument } from "../../lib/documents";
import type { AccountHealthQuery, AccountPartsFragment, Permission } from "../../lib/documents";
import { useLanguage, useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";
import { Redeliver } from "../devices/Configuration";
import { AccountAction } from "./AccountAction";
import { AccountModify } from "./AccountModify";
import { actionsFor, suggested } from "./actions";
import type { Action, Asked } from "./actions";

type Cause = NonNullable<AccountHealthQuery["account"]>["health"]["causes"][number];

interface Props {
  readonly account: AccountPartsFragment;
  readonly onRefused: () => void;
  /** Rises when something has happened to the account. */
  readonly changes: number;
}

/** What is wrong with the account, and what usually helps. */
export function Health({ account, onRefused, changes }: Props) {
  const words = useWords();
  const t = words.health;
  const may = useMay();
  const { language } = useLanguage();
  const [asked, setAsked] = useState<Action>();
  const [result, read] = useQuery({ query: AccountHealthDocument, variables: { id: account.id, locale: language, withDevices: may("DEVICE_READ") } });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  const health = result.data?.account?.health;
  const possible = actionsFor(account.state, may);
  return (
    <Panel title={t.title} extra={health && <State of="healthLevel" value={health.level} />} flush>
      <Result result={result} retry={again}>
        {() => (
          <ul className="causes" data-health={health?.level}>
            {health?.causes.length === 0 && <li>{t.well}</li>}
            {health?.causes.map((cause) => (
              <li key={`${cause.code} ${cause.device?.id ?? ""}`} data-cause={cause.code}>
                <State of="healthLevel" value={cause.level} />
                <span className="say">{cause.message} {cause.since && <span className="quiet">· <Time at={cause.since} /></span>}</span>
                <Helps cause={cause} possible={possible} onAsked={setAsked} onDone={again} />
              </li>
            ))}
          </ul>
        )}
      </Result>
      <AccountModify account={account} open={asked === "modify"} onClose={() => setAsked(undefined)} />
      {asked !== undefined && asked !== "modify" && <AccountAction action={asked satisfies Asked} account={account} onRefused={onRefused} onClosed={() => setAsked(undefined)} />}
    </Panel>
  );
}

interface HelpsProps {
  readonly cause: Cause;
  readonly possible: readonly Action[];
  readonly onAsked: (action: Action) => void;
  readonly onDone: () => void;
}

/** What can be done about a cause here: the suggested actions that are possible, and the page of its device, where its diagnostics are run. */
function Helps({ cause, possible, onAsked, onDone }: HelpsProps) {
  const words = useWords();
  const may = useMay();
  const helps = (mutation: string, permission: Permission) => may(permission) && cause.suggestedActions.includes(mutation);
  return (
    <Space size="middle" wrap>
      {suggested(cause.suggestedActions, possible).map((action) => (
        <Button key={action} size="small" onClick={() => onAsked(action)}>{action === "modify" ? words.accounts.modify : words.accountAction[action].name}</Button>
      ))}
      {cause.device && helps("redeliverConfiguration", "ACCOUNT_CARE") && <Redeliver device={cause.device.id} onDone={onDone} />}
      {cause.device && helps("runDiagnostic", "DIAG_RUN") && <Link href={`/devices/${cause.device.id}?show=diagnostics`}>{words.diagnostics.run}</Link>}
      {cause.device && <Link className="mono" href={`/devices/${cause.device.id}`}>{cause.device.serialNumber}</Link>}
    </Space>
  );
}
