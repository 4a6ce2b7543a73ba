import { Table } from "antd";
import { useState } from "react";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { AccountCallsDocument } from "../../lib/documents";
import { useWords } from "../../lib/i18n";

const days = 7;

/** What the clients of the account reported of their calls lately, by day. */
export function Calls({ id }: { readonly id: string }) {
  const t = useWords().calls;
  const [range] = useState(() => {
    const now = Date.now();
    return { from: new Date(now - (days - 1) * 86_400_000).toISOString(), to: new Date(now + 60_000).toISOString() };
  });
  const [result, read] = useQuery({ query: AccountCallsDocument, variables: { id, range } });
  return (
    <Panel title={t.title(days)} flush>
      <Result result={result} retry={() => read({ requestPolicy: "network-only" })}>
        {({ account }) => (
          <Table
            size="small"
            rowKey="start"
            dataSource={(account?.callStatistics ?? []).filter((day) => Number(day.reportingDevices) > 0).toReversed()}
            pagination={false}
            scroll={{ x: "max-content" }}
            locale={{ emptyText: <Nothing text={t.none} /> }}
            columns={[
              { title: t.day, key: "day", render: (_, day) => <Time at={day.start} /> },
              { title: t.attempts, dataIndex: "attempts", key: "attempts" },
              { title: t.answered, key: "answered", render: (_, day) => (day.answerSeizureRatio === null ? day.answered : `${day.answered} (${Math.round(100 * day.answerSeizureRatio)} %)`) },
              { title: t.failed, dataIndex: "failed", key: "failed" },
              { title: t.dropped, dataIndex: "dropped", key: "dropped" },
              { title: t.talk, key: "talk", render: (_, day) => t.minutes((Number(day.talkSeconds) / 60).toFixed(1)) },
              { title: "MOS", key: "mos", render: (_, day) => day.mosAvg?.toFixed(1) ?? "–" },
              { title: t.loss, key: "loss", render: (_, day) => (day.packetLossPercent === null ? "–" : `${day.packetLossPercent.toFixed(1)} %`) },
              { title: t.reporting, key: "reporting", render: (_, day) => `${day.reportingDevices} / ${day.expectedDevices}` },
            ]}
          />
        )}
      </Result>
    </Panel>
  );
}
