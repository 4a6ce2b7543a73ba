import { PlusOutlined } from "@ant-design/icons";
import { Button, Space, Table } from "antd";
import { useState } from "react";
import { useQuery } from "urql";
import { Page } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { WebhooksDocument } from "../../lib/documents";
import type { WebhookPartsFragment } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { Deliveries } from "./Deliveries";
import { Rewind } from "./Rewind";
import { WebhookForm } from "./WebhookForm";

/** Whom the platform pushes events to, and how that goes. */
export default function Webhooks() {
  const words = useWords();
  const t = words.webhooks;
  const [result, read] = useQuery({ query: WebhooksDocument });
  const again = () => read({ requestPolicy: "network-only" });
  /** What is open: a form for a new webhook, or for one that is there. */
  const [edited, setEdited] = useState<WebhookPartsFragment | "new">();
  const [rewound, setRewound] = useState<WebhookPartsFragment>();
  return (
    <Page
      title={t.title}
      actions={
        <Space>
          <Button onClick={again}>{words.refresh}</Button>
          <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setEdited("new")}>{t.create}</Button>
        </Space>
      }
    >
      <div className="panel">
        <Result result={result} retry={again}>
          {({ webhooks }) => (
            <Table<WebhookPartsFragment>
              size="small"
              rowKey="id"
              dataSource={webhooks}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.empty} /> }}
              expandable={{ expandedRowRender: (w) => <Deliveries id={w.id} /> }}
              onRow={(w) => ({ "data-webhook": w.url, "data-state": w.state }) as object}
              columns={[
                { title: t.url, key: "url", render: (_, w) => <span className="mono">{w.url}</span> },
                { title: t.types, key: "types", render: (_, w) => (w.types.length === 0 ? words.all : w.types.map((type) => words.eventType[type]).join(" · ")) },
                { title: t.state, key: "state", render: (_, w) => <State of="webhookState" value={w.state} /> },
                { title: t.lag, key: "lag", render: (_, w) => <span className="number">{t.seconds(Math.round(w.lagSeconds))}</span> },
                { title: t.failures, key: "failures", render: (_, w) => <span className="number" title={w.lastError ?? ""}>{w.consecutiveFailures}</span> },
                { title: t.failingSince, key: "since", render: (_, w) => <Time at={w.failingSince} /> },
                { title: t.nextAttempt, key: "next", render: (_, w) => <Time at={w.nextAttemptAt} /> },
                {
                  title: "", key: "do", render: (_, w) => (
                    <Space>
                      <Button size="small" onClick={() => setEdited(w)}>{t.edit}</Button>
                      <Button size="small" onClick={() => setRewound(w)}>{t.rewind}</Button>
                    </Space>
                  ),
                },
              ]}
            />
          )}
        </Result>
      </div>
      {edited && <WebhookForm key={edited === "new" ? "new" : edited.id} webhook={edited === "new" ? undefined : edited} onDone={again} onClosed={() => setEdited(undefined)} />}
      {rewound && <Rewind key={rewound.id} webhook={rewound} onDone={again} onClosed={() => setRewound(undefined)} />}
    </Page>
  );
}
