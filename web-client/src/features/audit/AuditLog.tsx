import { Input, Select, Table } from "antd";
import { useQuery } from "urql";
import { Page } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { AuditEntriesDocument } from "../../lib/documents";
import type { AuditOutcome } from "../../lib/documents";
import { actorName, formatJSON } from "../../lib/format";
import { useWords } from "../../lib/i18n";
import { useListAddress, useTurns } from "../../lib/paging";

const pageSize = 50;
const outcomes: readonly AuditOutcome[] = ["SUCCESS", "DENIED", "FAILED", "DISCLOSED"];

/** Who did what, newest first: the chained log that nobody can change unseen. */
export default function AuditLog() {
  const words = useWords();
  const t = words.audit;
  const address = useListAddress();
  const turns = useTurns();
  const chosen = address.many("outcome", outcomes);
  const action = address.params.get("action") ?? "";
  const subject = address.params.get("subject") ?? "";
  const [result, read] = useQuery({
    query: AuditEntriesDocument,
    variables: {
      filter: { ...(chosen.length > 0 ? { outcomes: chosen } : {}), ...(action ? { actions: [action] } : {}), ...(subject ? { subjectId: subject } : {}) },
      first: pageSize, ...(turns.after ? { after: turns.after } : {}),
    },
    requestPolicy: "cache-and-network",
  });
  const change = (values: Record<string, string | readonly string[]>) => {
    turns.start();
    address.change(values);
  };
  return (
    <Page title={t.title}>
      <div className="panel">
        <form className="filters" key={`${action}\n${subject}`} role="search" onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          change({ action: String(form.get("action") ?? "").trim(), subject: String(form.get("subject") ?? "").trim() });
        }}>
          <label>{t.action}<Input name="action" defaultValue={action} placeholder="modifyAccount" maxLength={64} allowClear style={{ width: 220 }} /></label>
          <label>{t.subject}<Input name="subject" defaultValue={subject} maxLength={128} allowClear style={{ width: 320 }} /></label>
          <label>{t.outcome}
            <Select mode="multiple" value={chosen} placeholder={words.all} style={{ minWidth: 200 }} options={outcomes.map((o) => ({ value: o, label: words.auditOutcome[o] }))}
              onChange={(value) => change({ outcome: value })} />
          </label>
          <button type="submit" hidden />
        </form>
        <Result result={result} retry={() => read({ requestPolicy: "network-only" })}>
          {({ auditEntries }) => (
            <>
              <Table
                size="small"
                rowKey="id"
                dataSource={auditEntries.nodes}
                pagination={false}
                scroll={{ x: "max-content" }}
                locale={{ emptyText: <Nothing text={t.empty} /> }}
                expandable={{ expandedRowRender: (e) => <pre className="json mono">{JSON.stringify({ changes: e.changes, subjectId: e.subjectId, requestId: e.requestId, hash: e.hash }, null, 2)}</pre> }}
                onRow={(e) => ({ "data-action": e.action }) as object}
                columns={[
                  { title: t.sequence, key: "sequence", width: 80, render: (_, e) => <span className="number">{e.sequence}</span> },
                  { title: words.events.time, key: "at", width: 160, render: (_, e) => <Time at={e.at} /> },
                  { title: words.events.by, key: "by", render: (_, e) => <>{actorName(e.actor, words)}{e.onBehalfOf && <span className="quiet"> · {e.onBehalfOf}</span>}</> },
                  { title: t.action, key: "action", render: (_, e) => <span className="mono">{e.action}</span> },
                  { title: t.outcome, key: "outcome", render: (_, e) => <><State of="auditOutcome" value={e.outcome} /> <span className="mono quiet">{e.errorCode}</span></> },
                  { title: words.events.details, key: "changes", render: (_, e) => <div className="mono quiet clip">{e.changes ? formatJSON(e.changes) : null}</div> },
                  { title: t.address, key: "address", render: (_, e) => <span className="mono">{e.remoteAddress}</span> },
                ]}
              />
              <Turner turns={turns} page={auditEntries.pageInfo} />
            </>
          )}
        </Result>
      </div>
    </Page>
  );
}
