import { Button, Table } from "antd";
import { useQuery } from "urql";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { WebhookDeliveriesDocument } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";

const pageSize = 20;

/** The attempts to deliver to a webhook, newest first. */
export function Deliveries({ id }: { readonly id: string }) {
  const words = useWords();
  const t = words.webhooks;
  const turns = useTurns();
  const [result, read] = useQuery({ query: WebhookDeliveriesDocument, variables: { id, first: pageSize, ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  return (
    <Result result={result} retry={again}>
      {({ node }) => {
        const page = node?.__typename === "Webhook" ? node.deliveries : undefined;
        return (
          <>
            <Button size="small" type="text" onClick={again}>{words.refresh}</Button>
            <Table
              size="small"
              rowKey="id"
              dataSource={page?.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.noDeliveries} /> }}
              columns={[
                { title: t.at, key: "at", render: (_, d) => <Time at={d.at} /> },
                { title: t.events, dataIndex: "events", key: "events" },
                { title: t.attempt, dataIndex: "attempt", key: "attempt" },
                { title: t.status, key: "status", render: (_, d) => d.statusCode ?? <span className="quiet">–</span> },
                { title: t.error, key: "error", render: (_, d) => d.error ?? <span className="quiet">–</span> },
                { title: t.cursor, key: "cursor", render: (_, d) => <span className="mono quiet">{d.cursor}</span> },
              ]}
            />
            <Turner turns={turns} page={page?.pageInfo} />
          </>
        );
      }}
    </Result>
  );
}
