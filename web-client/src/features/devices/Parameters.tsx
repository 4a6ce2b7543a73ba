import { Button, Input, Table } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { DeviceParametersDocument } from "../../lib/documents";
import { useWords } from "../../lib/i18n";

const pageSize = 100;

/** What the device has reported, below a path. */
export function Parameters({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.devices;
  const [prefix, setPrefix] = useState("");
  /** The cursors of the pages before this one. */
  const [behind, setBehind] = useState<readonly string[]>([]);
  const after = behind.at(-1);
  const [result, read] = useQuery({ query: DeviceParametersDocument, variables: { id, prefix, first: pageSize, ...(after ? { after } : {}) } });
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
              setBehind([]);
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
                { title: t.writable, key: "writable", render: (_, p) => (p.writable === null ? <span className="quiet">–</span> : p.writable ? words.yes : words.no) },
                { title: t.reportedAt, key: "at", render: (_, p) => <Time at={p.reportedAt} /> },
              ]}
            />
            <div className="pager">
              <Button size="small" disabled={behind.length === 0} onClick={() => setBehind(behind.slice(0, -1))}>{words.previous}</Button>
              <Button size="small" disabled={!device?.parameters.pageInfo.hasNextPage} onClick={() => {
                const end = device?.parameters.pageInfo.endCursor;
                if (end) setBehind([...behind, end]);
              }}>{words.next}</Button>
            </div>
          </>
        )}
      </Result>
    </Panel>
  );
}
