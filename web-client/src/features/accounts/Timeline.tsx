import { Select, Table } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { Link } from "wouter";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { TimelineDocument } from "../../lib/documents";
import type { HealthLevel, TimelineKind } from "../../lib/documents";
import { actorName } from "../../lib/format";
import { useLanguage, useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";
import { useMay } from "../../lib/rights";

const pageSize = 20;
const dots: Record<HealthLevel, string> = { GOOD: "good", DEGRADED: "warn", BROKEN: "bad", UNKNOWN: "" };

/** What happened to the account and was done to it, newest first. */
export function Timeline({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.timeline;
  const may = useMay();
  const { language } = useLanguage();
  const turns = useTurns();
  const [kinds, setKinds] = useState<readonly TimelineKind[]>([]);
  const [result, read] = useQuery({
    query: TimelineDocument,
    variables: {
      id, locale: language, withDevices: may("DEVICE_READ"), first: pageSize,
      ...(kinds.length > 0 ? { kinds } : {}), ...(turns.after ? { after: turns.after } : {}),
    },
  });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  const all = Object.keys(words.timelineKind) as TimelineKind[];
  return (
    <Panel
      title={t.title}
      extra={
        <Select mode="multiple" size="small" value={[...kinds]} placeholder={words.all} aria-label={t.kinds} style={{ minWidth: 220, maxWidth: 640 }}
          options={all.map((kind) => ({ value: kind, label: words.timelineKind[kind] }))} onChange={(value: TimelineKind[]) => { turns.start(); setKinds(value); }} />
      }
      flush
    >
      <Result result={result} retry={again}>
        {({ account }) => (
          <>
            <Table
              size="small"
              rowKey="cursor"
              dataSource={account?.timeline.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.empty} /> }}
              onRow={(line) => ({ "data-kind": line.kind }) as object}
              columns={[
                { title: words.events.time, key: "at", width: 160, render: (_, line) => <Time at={line.at} /> },
                { title: t.kind, key: "kind", width: 110, render: (_, line) => words.timelineKind[line.kind] },
                { title: words.events.what, key: "title", render: (_, line) => (
                  <span className="line"><span className={`dot ${dots[line.level]}`} title={words.healthLevel[line.level]} />{line.title}</span>
                ) },
                { title: words.events.details, key: "detail", render: (_, line) => <div className="mono quiet clip" title={line.detail ?? ""}>{line.detail}</div> },
                { title: words.events.device, key: "device", render: (_, line) => line.device && <Link className="mono" href={`/devices/${line.device.id}`}>{line.device.serialNumber}</Link> },
                { title: words.events.by, key: "by", render: (_, line) => actorName(line.actor, words) },
              ]}
            />
            <Turner turns={turns} page={account?.timeline.pageInfo} />
          </>
        )}
      </Result>
    </Panel>
  );
}
