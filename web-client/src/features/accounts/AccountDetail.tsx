import { Table } from "antd";
import { useState } from "react";
import { Link } from "wouter";
import { useQuery } from "urql";
import { Missing } from "../../app/Shell";
import { History } from "../../components/History";
import { Facts, Page, Panel } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { AccountDocument } from "../../lib/documents";
import type { AccountQuery } from "../../lib/documents";
import { actorName, formatJSON } from "../../lib/format";
import { useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";
import { AccountActions } from "./AccountActions";
import { Calls } from "./Calls";
import { Health } from "./Health";
import { Timeline } from "./Timeline";

type Account = NonNullable<AccountQuery["account"]>;

export default function AccountDetail({ id }: { readonly id: string }) {
  const words = useWords();
  const may = useMay();
  const [result, read] = useQuery({ query: AccountDocument, variables: { id, withDevices: may("DEVICE_READ") } });
  const [changes, setChanges] = useState(0);
  const again = () => {
    read({ requestPolicy: "network-only" });
    setChanges((n) => n + 1);
  };
  return (
    <Result result={result} retry={again}>
      {({ account }) => (account === null ? <Missing /> : (
        <Page
          title={account.displayName ?? account.msisdn}
          mark={<State of="accountState" value={account.state} />}
          crumb={<><Link href="/accounts">{words.accounts.title}</Link> / <span className="mono">{account.externalId}</span></>}
          actions={<AccountActions account={account} onRefused={again} />}
        >
          <Health account={account} onRefused={again} changes={changes} />
          <div className="columns"><Identity account={account} /><Standing account={account} /></div>
          {account.bindings && <Bindings list={account.bindings.nodes} />}
          {may("STATS_READ") && <Calls id={id} />}
          <Messages list={account.smsMessages.nodes} />
          {may("EVENT_READ") && <Timeline id={id} changes={changes} />}
          {may("EVENT_READ") && <History title={words.accounts.events} filter={{ accountIds: [id] }} without="account" onEvent={again} />}
        </Page>
      ))}
    </Result>
  );
}

function Identity({ account }: { readonly account: Account }) {
  const words = useWords();
  const t = words.accounts;
  return (
    <Panel title={t.identity}>
      <Facts rows={[
        [t.msisdn, <span className="number">{account.msisdn}</span>],
        [t.displayName, account.displayName],
        [t.externalId, <span className="mono">{account.externalId}</span>],
        [t.impi, <span className="mono">{account.impi}</span>],
        [t.impu, account.impu.map((uri) => <div key={uri} className="mono">{uri}</div>)],
        [t.boundMobile, account.boundMobile],
        [t.imsi, account.imsi],
        [t.broadbandAccount, account.broadbandAccount],
        [t.screenSerial, account.screenSerial],
        [t.region, account.region],
      ]} />
    </Panel>
  );
}

function Standing({ account }: { readonly account: Account }) {
  const words = useWords();
  const t = words.accounts;
  return (
    <Panel title={`${t.stateSection} · ${t.serviceSection}`}>
      <Facts rows={[
        [t.state, <State of="accountState" value={account.state} />],
        account.suspensions.length > 0 ? [t.suspensions, <Suspensions list={account.suspensions} />] : [t.stateReason, account.stateReason],
        [t.stateChangedAt, <Time at={account.stateChangedAt} />],
        ...(account.terminatedAt ? [[t.terminatedAt, <Time at={account.terminatedAt} />] as const] : []),
        [t.passwordState, <State of="passwordState" value={account.passwordState} />],
        ...(account.lockedUntil ? [[t.lockedUntil, <Time at={account.lockedUntil} />] as const] : []),
        [words.devices.reauth, account.reauthRequired ? words.yes : words.no],
        [t.sipSecretSource, words.sipSecretSource[account.sipSecretSource]],
        [t.clientTypes, account.clientTypes.map((c) => words.clientType[c]).join(" · ")],
        [t.maxDevices, account.maxDevices],
        [t.services, account.services.length === 0 ? null : account.services.map((s) => (
          <div key={s.code}>
            <span className={`dot ${s.enabled ? "good" : ""}`} title={s.enabled ? words.yes : words.no} />
            <span className={s.enabled ? "mono" : "mono quiet"}>{s.code}</span>{" "}
            {s.parameters !== null && <span className="mono quiet">{formatJSON(s.parameters)}</span>}
          </div>
        ))],
        [t.createdAt, <Time at={account.createdAt} />],
        [t.updatedAt, <><Time at={account.updatedAt} /> <span className="quiet">· {t.version} {account.version}</span></>],
      ]} />
    </Panel>
  );
}

function Suspensions({ list }: { readonly list: Account["suspensions"] }) {
  const words = useWords();
  return list.map((s) => (
    <div key={s.reason}>
      {words.suspendReason[s.reason]} <span className="quiet">· <Time at={s.since} /> {s.by && `· ${actorName(s.by, words)}`}</span>
      {s.note && <div className="quiet">{s.note}</div>}
    </div>
  ));
}

function Bindings({ list }: { readonly list: NonNullable<Account["bindings"]>["nodes"] }) {
  const words = useWords();
  const t = words.accounts;
  return (
    <Panel title={t.bindings} flush>
      <Table
        size="small"
        rowKey="id"
        dataSource={list}
        pagination={false}
        scroll={{ x: "max-content" }}
        locale={{ emptyText: <Nothing text={t.noBindings} /> }}
        columns={[
          { title: t.device, key: "device", render: (_, b) => <Link className="mono" href={`/devices/${b.device.id}`}>{b.device.serialNumber}</Link> },
          { title: words.devices.type, key: "type", render: (_, b) => words.clientType[b.device.clientType] },
          { title: words.devices.reachability, key: "reachability", render: (_, b) => <State of="reachability" value={b.device.reachability} /> },
          { title: words.devices.lastInform, key: "inform", render: (_, b) => <Time at={b.device.lastInformAt} /> },
          { title: t.state, key: "state", render: (_, b) => <State of="bindingState" value={b.state} /> },
          { title: t.method, key: "method", render: (_, b) => words.bindingMethod[b.method] },
          { title: t.bound, key: "bound", render: (_, b) => <Time at={b.boundAt} /> },
          { title: t.confirmed, key: "confirmed", render: (_, b) => <Time at={b.confirmedAt} /> },
          { title: t.unbound, key: "unbound", render: (_, b) => <Time at={b.unboundAt} /> },
        ]}
      />
    </Panel>
  );
}

function Messages({ list }: { readonly list: Account["smsMessages"]["nodes"] }) {
  const words = useWords();
  const t = words.accounts;
  return (
    <Panel title={t.sms} flush>
      <Table
        size="small"
        rowKey="id"
        dataSource={list}
        pagination={false}
        scroll={{ x: "max-content" }}
        locale={{ emptyText: <Nothing text={t.noSms} /> }}
        columns={[
          { title: t.queuedAt, key: "queued", render: (_, m) => <Time at={m.queuedAt} /> },
          { title: t.smsTo, key: "to", render: (_, m) => <span className="number">{m.to}</span> },
          { title: t.smsPurpose, key: "purpose", render: (_, m) => words.smsPurpose[m.purpose] },
          { title: t.state, key: "state", render: (_, m) => <><State of="smsState" value={m.state} /> <span className="quiet">{m.providerStatus}</span></> },
          { title: t.attempts, dataIndex: "attempts", key: "attempts" },
          { title: t.finalAt, key: "final", render: (_, m) => <Time at={m.finalAt} /> },
        ]}
      />
    </Panel>
  );
}
