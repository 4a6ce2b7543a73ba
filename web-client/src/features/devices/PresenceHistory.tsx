import { Table } from "antd";
import { useEffect, useEffectEvent } from "react";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { PresenceHistoryDocument } from "../../lib/documents";
import { daysAndClock } from "../../lib/format";
import { say, useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";

const pageSize = 20;

/** When the device came and went, newest first. */
export function PresenceHistory({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.devices;
  const turns = useTurns();
  const [result, read] = useQuery({ query: PresenceHistoryDocument, variables: { id, first: pageSize, ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  return (
    <Panel flush>
      <Result result={result} retry={again}>
        {({ device }) => (
          <>
            <Table
              size="small"
              rowKey={(c) => `${c.at} ${c.state}`}
              dataSource={device?.presenceHistory.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.noHistory} /> }}
              onRow={(c) => ({ "data-presence": c.state }) as object}
              columns={[
                { title: t.since, key: "at", render: (_, c) => <Time at={c.at} /> },
                { title: t.reachability, key: "state", render: (_, c) => <State of="reachability" value={c.state} /> },
                { title: t.reason, key: "reason", render: (_, c) => (c.reason ? say(words.offlineReason, c.reason) : <span className="quiet">–</span>) },
                { title: t.previousState, key: "previous", render: (_, c) => <State of="reachability" value={c.previousState} /> },
                { title: t.lasted, key: "lasted", render: (_, c) => <span className="number">{t.duration(...daysAndClock(c.durationSeconds))}</span> },
                { title: t.loginSession, key: "login", render: (_, c) => <span className="mono quiet">{c.loginSessionId}</span> },
              ]}
            />
            <Turner turns={turns} page={device?.presenceHistory.pageInfo} />
          </>
        )}
      </Result>
    </Panel>
  );
}
