import { Input, Table } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { DeviceParametersDocument } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";

const pageSize = 100;

/** What the device has reported, below a path. */
export function Parameters({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.devices;
  const [prefix, setPrefix] = useState("");
  const turns = useTurns();
  const [result, read] = useQuery({ query: DeviceParametersDocument, variables: { id, prefix, first: pageSize, ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  return (
    <Panel flush>
      <div className="filters">
        <label>{t.prefix}
          <Input.Search
            defaultValue={prefix}
            placeholder="Device."
            maxLength={256}
            allowClear
            style={{ width: 420 }}
            className="mono"
            onSearch={(text) => {
              turns.start();
              setPrefix(text.trim());
            }}
          />
        </label>
      </div>
      <Result result={result} retry={again}>
        {({ device }) => (
          <>
            <Table
              size="small"
              rowKey="path"
              dataSource={device?.parameters.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.noParameters} /> }}
              columns={[
                { title: t.path, key: "path", render: (_, p) => <span className="mono break">{p.path}</span> },
                { title: t.value, key: "value", render: (_, p) => <span className="mono break">{p.value}</span> },
                { title: t.valueType, key: "type", render: (_, p) => <span className="mono quiet">{p.type}</span> },
                { title: t.notification, key: "notification", render: (_, p) => (p.notification === null ? <span className="quiet">–</span> : t.notifications[p.notification]) },
                { title: t.writable, key: "writable", render: (_, p) => (p.writable === null ? <span className="quiet">–</span> : p.writable ? words.yes : words.no) },
                { title: t.reportedAt, key: "at", render: (_, p) => <Time at={p.reportedAt} /> },
              ]}
            />
            <Turner turns={turns} page={device?.parameters.pageInfo} />
          </>
        )}
      </Result>
    </Panel>
  );
}
