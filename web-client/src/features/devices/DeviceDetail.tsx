import { Table, Tabs, Tag } from "antd";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useQuery } from "urql";
import { Missing } from "../../app/Shell";
import { History } from "../../components/History";
import { Facts, Page, Panel } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { DeviceDocument } from "../../lib/documents";
import type { DeviceQuery, EventPartsFragment } from "../../lib/documents";
import { say, useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";
import { useLive } from "../../lib/useLive";
import { Diagnostics } from "./Diagnostics";
import { Configuration, Lines } from "./Configuration";
import { Parameters } from "./Parameters";
import { PresenceHistory } from "./PresenceHistory";
import { Sessions } from "./Sessions";
import { Tasks } from "./Tasks";

export type Device = NonNullable<DeviceQuery["device"]>;

export default function DeviceDetail({ id }: { readonly id: string }) {
  const words = useWords();
  const t = words.devices;
  const may = useMay();
  const [result, read] = useQuery({ query: DeviceDocument, variables: { id } });
  const again = () => read({ requestPolicy: "network-only" });
  const [changes, setChanges] = useState({ tasks: 0, diagnostics: 0, parameters: 0, history: 0 });
  const onEvent = ({ type, payload }: EventPartsFragment) => {
    if (type === "DIAGNOSTIC_COMPLETED" || codeOf(payload).startsWith("diag.")) setChanges((before) => ({ ...before, diagnostics: before.diagnostics + 1 }));
    else if (type === "TASK_STATE_CHANGED") setChanges((before) => ({ ...before, tasks: before.tasks + 1, parameters: before.parameters + 1 }));
    else if (type === "DEVICE_PARAMETER_CHANGED") setChanges((before) => ({ ...before, parameters: before.parameters + 1 }));
    else again();
    if (type === "DEVICE_REACHABILITY_CHANGED") setChanges((before) => ({ ...before, history: before.history + 1 }));
  };
  return (
    <Result result={result} retry={again}>
      {({ device }) => (device === null ? <Missing /> : (
        <Page
          title={device.serialNumber}
          mark={<State of="reachability" value={device.reachability} />}
          crumb={<><Link href="/devices">{t.title}</Link> / {words.clientType[device.clientType]}</>}
        >
          {may("EVENT_READ") && <Follow id={id} onStart={again} onEvent={onEvent} />}
          <div className="columns"><Identity device={device} /><Presence device={device} /><Configuration device={device} onDone={again} /></div>
          <Lines list={device.registrations} />
          <Bindings list={device.bindings.nodes} />
          <Sections id={id} changes={changes} />
        </Page>
      ))}
    </Result>
  );
}

function Follow({ id, onStart, onEvent }: { readonly id: string; readonly onStart: () => void; readonly onEvent: (event: EventPartsFragment) => void }) {
  useLive({ filter: { deviceIds: [id] }, onStart, onEvent });
  return null;
}

function codeOf(payload: unknown): string {
  const code: unknown = typeof payload === "object" && payload !== null && "code" in payload ? payload.code : undefined;
  return typeof code === "string" ? code : "";
}

const sections = ["tasks", "diagnostics", "parameters", "history", "sessions", "events"] as const;

/** How often something of each list has changed. */
interface Changes {
  readonly tasks: number;
  readonly diagnostics: number;
  readonly parameters: number;
  readonly history: number;
}

/** The long lists; which one is open is in the address. */
function Sections({ id, changes }: { readonly id: string; readonly changes: Changes }) {
  const words = useWords();
  const may = useMay();
  const [params, setParams] = useSearchParams();
  const open = sections.find((s) => s === params.get("show")) ?? "tasks";
  const shown = sections.filter((s) => (s !== "events" || may("EVENT_READ")) && (s !== "diagnostics" || may("DIAG_RUN")) && (s !== "sessions" || may("TRACE_RUN")));
  return (
    <>
      <Tabs
        activeKey={open}
        onChange={(key) => setParams({ show: key }, { replace: true })}
        items={shown.map((s) => ({ key: s, label: words.devices[s] }))}
      />
      {open === "tasks" && <Tasks id={id} changes={changes.tasks} />}
      {open === "diagnostics" && may("DIAG_RUN") && <Diagnostics id={id} changes={changes.diagnostics} />}
      {open === "parameters" && <Parameters id={id} changes={changes.parameters} />}
      {open === "history" && <PresenceHistory id={id} changes={changes.history} />}
      {open === "sessions" && may("TRACE_RUN") && <Sessions id={id} />}
      {open === "events" && may("EVENT_READ") && <History title={words.devices.events} filter={{ deviceIds: [id] }} without="device" onEvent={() => {}} />}
    </>
  );
}

function Identity({ device }: { readonly device: Device }) {
  const words = useWords();
  const t = words.devices;
  return (
    <Panel title={t.identity}>
      <Facts rows={[
        [t.serial, <span className="mono">{device.serialNumber}</span>],
        [t.oui, <span className="mono">{device.oui}</span>],
        [t.productClass, <span className="mono">{device.productClass}</span>],
        [t.manufacturer, device.manufacturer],
        [t.model, device.model],
        [t.version, device.softwareVersion],
        [t.hardwareVersion, device.hardwareVersion],
        [t.osVersion, device.osVersion],
        ...(device.stockState ? [[t.stock, words.stockState[device.stockState]] as const] : []),
        [t.tags, device.tags.length > 0 ? device.tags.map((tag) => <Tag key={tag}>{tag}</Tag>) : null],
      ]} />
    </Panel>
  );
}

function Presence({ device }: { readonly device: Device }) {
  const words = useWords();
  const t = words.devices;
  return (
    <Panel title={t.presence}>
      <Facts rows={[
        [t.reachability, <State of="reachability" value={device.reachability} />],
        [t.lastInform, <Time at={device.lastInformAt} />],
        [t.nextInform, <Time at={device.nextInformDueAt} />],
        [t.lastBoot, <Time at={device.lastBootAt} />],
        [t.address, device.ipAddress && <span className="mono">{device.ipAddress}</span>],
        [t.login, <Time at={device.login?.at} />],
        ...(device.login?.logoutAt ? [[t.logout, (
          <><Time at={device.login.logoutAt} />{device.login.reason && <span className="quiet"> · {say(words.offlineReason, device.login.reason)}</span>}</>
        )] as const] : []),
        [t.reauth, device.reauthRequired ? words.yes : words.no],
        ...(device.legacyAuth ? [[t.legacy, words.yes] as const] : []),
        [t.skew, device.clockSkewSeconds === null ? null : t.seconds(device.clockSkewSeconds)],
        [t.createdAt, <Time at={device.createdAt} />],
      ]} />
    </Panel>
  );
}

function Bindings({ list }: { readonly list: Device["bindings"]["nodes"] }) {
  const words = useWords();
  const t = words.accounts;
  return (
    <Panel title={words.devices.bindings} flush>
      <Table
        size="small"
        rowKey="id"
        dataSource={list}
        pagination={false}
        scroll={{ x: "max-content" }}
        locale={{ emptyText: <Nothing text={words.devices.noBindings} /> }}
        columns={[
          { title: words.devices.account, key: "account", render: (_, b) => <Link className="mono" href={`/accounts/${b.account.id}`}>{b.account.externalId}</Link> },
          { title: t.state, key: "accountState", render: (_, b) => <State of="accountState" value={b.account.state} /> },
          { title: words.devices.bindings, key: "state", render: (_, b) => <State of="bindingState" value={b.state} /> },
          { title: t.method, key: "method", render: (_, b) => words.bindingMethod[b.method] },
          { title: t.bound, key: "bound", render: (_, b) => <Time at={b.boundAt} /> },
          { title: t.confirmed, key: "confirmed", render: (_, b) => <Time at={b.confirmedAt} /> },
          { title: t.unbound, key: "unbound", render: (_, b) => <Time at={b.unboundAt} /> },
        ]}
      />
    </Panel>
  );
}
