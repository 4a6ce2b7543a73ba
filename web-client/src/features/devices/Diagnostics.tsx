import { PlusOutlined } from "@ant-design/icons";
import { Button, Table } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { useQuery } from "urql";
import { Facts, Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { DeviceDiagnosticsDocument, WatchDiagnosticDocument } from "../../lib/documents";
import type { DiagnosticPartsFragment } from "../../lib/documents";
import { actorName, formatRate } from "../../lib/format";
import { useWords } from "../../lib/i18n";
import { watch } from "../../lib/live";
import { useTurns } from "../../lib/paging";
import { useMay } from "../../lib/rights";
import { DiagnosticForm } from "./DiagnosticForm";

type Found = NonNullable<DiagnosticPartsFragment["result"]>;

const pageSize = 20;
const over: readonly DiagnosticPartsFragment["state"][] = ["SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED"];

/** The tests that the device ran or is to run; those that are not over change as it goes. */
export function Diagnostics({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.diagnostics;
  const turns = useTurns();
  const [running, setRunning] = useState(false);
  /** What the subscriptions told since the list was read. */
  const [told, setTold] = useState<ReadonlyMap<string, DiagnosticPartsFragment>>(new Map());
  const [result, read] = useQuery({ query: DeviceDiagnosticsDocument, variables: { id, first: pageSize, ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  const may = useMay();
  return (
    <Panel flush>
      <div className="filters">
        <Button onClick={again}>{words.refresh}</Button>
        {may("DIAG_RUN") && <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setRunning(true)}>{t.run}</Button>}
      </div>
      <Result result={result} retry={again}>
        {({ device }) => {
          const list = (device?.diagnostics.nodes ?? []).map((d) => (over.includes(d.state) ? d : told.get(d.id) ?? d));
          return (
            <>
              {list.filter((d) => !over.includes(d.state)).map((d) => <Watch key={d.id} id={d.id} onChange={(now) => setTold((before) => new Map(before).set(now.id, now))} />)}
              <Table<DiagnosticPartsFragment>
                size="small"
                rowKey="id"
                dataSource={list}
                pagination={false}
                scroll={{ x: "max-content" }}
                locale={{ emptyText: <Nothing text={t.none} /> }}
                onRow={(d) => ({ "data-diagnostic": d.kind, "data-state": d.state }) as object}
                expandable={{ expandedRowRender: (d) => <Outcome of={d} />, rowExpandable: (d) => over.includes(d.state) || d.fault !== null }}
                columns={[
                  { title: t.kind, key: "kind", render: (_, d) => t.kinds[d.kind] },
                  { title: words.devices.taskState, key: "state", render: (_, d) => <State of="taskState" value={d.state} /> },
                  { title: t.summary, key: "summary", render: (_, d) => <Summary of={d} /> },
                  { title: t.requestedAt, key: "requested", render: (_, d) => <Time at={d.requestedAt} /> },
                  { title: words.devices.taskDone, key: "done", render: (_, d) => <Time at={d.completedAt} /> },
                  { title: words.devices.by, key: "by", render: (_, d) => (d.requestedBy ? actorName(d.requestedBy, words) : <span className="quiet">{t.unsolicited}</span>) },
                ]}
              />
              <Turner turns={turns} page={device?.diagnostics.pageInfo} />
            </>
          );
        }}
      </Result>
      <DiagnosticForm device={id} open={running} onClose={() => setRunning(false)} onDone={again} />
    </Panel>
  );
}

/** Follows one diagnostic as long as it is on the page. */
function Watch({ id, onChange }: { readonly id: string; readonly onChange: (now: DiagnosticPartsFragment) => void }) {
  const change = useEffectEvent(onChange);
  useEffect(() => watch(WatchDiagnosticDocument, { id }, ({ diagnostic }) => change(diagnostic)), [id]);
  return null;
}

function Summary({ of: d }: { readonly of: DiagnosticPartsFragment }) {
  const t = useWords().diagnostics;
  const ms = (n: number | null) => (n === null ? "–" : `${n} ms`);
  if (d.errorState) return <span className="mono">{d.errorState}</span>;
  if (d.fault) return <span><span className="mono">{d.fault.code}</span> {d.fault.message}</span>;
  const r = d.result;
  switch (r?.__typename) {
    case "PingResult": return <>{r.host}: {t.received(r.received, r.sent)}, {ms(r.avgMs)}</>;
    case "TracerouteResult": return <>{r.host}: {t.hops(r.hops.length)}</>;
    case "TransferResult": return <>{formatRate(Number(r.bitsPerSecond))}</>;
    case "LookupResult": return <span className="mono">{r.answers.join(", ")}</span>;
    case "RegistrationResult": return <>{r.registered ? t.registered : t.notRegistered}{r.sipStatus !== null && ` (${r.sipStatus})`}, {ms(r.responseMs)}</>;
    case "LoopbackResult": return <>{t.received(r.received, r.sent)}, {ms(r.rttMs)}</>;
    default: return null;
  }
}

function Outcome({ of: d }: { readonly of: DiagnosticPartsFragment }) {
  const words = useWords();
  const t = words.diagnostics;
  if (d.result?.__typename === "TracerouteResult") return <Hops hops={d.result.hops} />;
  const rows = d.result ? facts(d.result, words) : [];
  return (
    <Facts rows={[
      ...rows,
      ...(d.errorState ? [[t.errorState, <span className="mono">{d.errorState}</span>] as const] : []),
      ...(d.fault ? [[t.fault, <><span className="mono">{d.fault.code}</span> {d.fault.message}</>] as const] : []),
    ]} />
  );
}

function facts(r: Found, words: ReturnType<typeof useWords>): (readonly [string, string | null])[] {
  const t = words.diagnostics;
  const ms = (n: number | null) => (n === null ? null : `${n} ms`);
  switch (r.__typename) {
    case "PingResult":
      return [[t.host, r.host], [t.packets, t.received(r.received, r.sent)], [t.least, ms(r.minMs)], [t.mean, ms(r.avgMs)], [t.most, ms(r.maxMs)]];
    case "TransferResult":
      return [[t.throughput, formatRate(Number(r.bitsPerSecond))], [t.bytes, String(r.bytes)], [t.took, ms(r.durationMs)]];
    case "LookupResult":
      return [[t.host, r.name], [t.answers, r.answers.join(", ") || null], [t.authoritative, r.authoritative ? words.yes : words.no]];
    case "RegistrationResult":
      return [[t.sipStatus, r.sipStatus === null ? null : String(r.sipStatus)], [t.serverUsed, r.serverUsed], [t.took, ms(r.responseMs)],
        [t.expires, r.expiresInSeconds === null ? null : `${r.expiresInSeconds} s`], [t.nat, r.natType]];
    case "LoopbackResult":
      return [[t.packets, t.received(r.received, r.sent)], [t.loss, r.lossPercent === null ? null : `${r.lossPercent} %`], [t.jitter, ms(r.jitterMs)], [t.mean, ms(r.rttMs)]];
    case "TracerouteResult":
      return [];
  }
}

type Hop = Extract<Found, { readonly __typename: "TracerouteResult" }>["hops"][number];

function Hops({ hops }: { readonly hops: readonly Hop[] }) {
  const t = useWords().diagnostics;
  return (
    <Table<Hop>
      size="small"
      rowKey="index"
      dataSource={hops}
      pagination={false}
      columns={[
        { title: t.hop, dataIndex: "index", key: "index", width: 80 },
        { title: t.host, key: "address", render: (_, h) => (h.address ? <span className="mono">{h.address}</span> : "*") },
        { title: t.times, key: "times", render: (_, h) => (h.rttMs.length > 0 ? h.rttMs.map((n) => `${n} ms`).join(", ") : "–") },
        { title: t.fault, key: "error", render: (_, h) => h.error },
      ]}
    />
  );
}
