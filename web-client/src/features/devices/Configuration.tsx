import { App, Button, Popconfirm, Table } from "antd";
import { useState } from "react";
import { useMutation } from "urql";
import { Failure } from "../../components/Failure";
import { Facts, Panel } from "../../components/Page";
import { Nothing } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { RedeliverConfigurationDocument } from "../../lib/documents";
import { sentence } from "../../lib/fields";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";
import { useMay } from "../../lib/rights";
import type { Device } from "./DeviceDetail";

/** What is desired of a device and what it holds; a desk may have everything delivered again. */
export function Configuration({ device, onDone }: { readonly device: Device; readonly onDone: () => void }) {
  const words = useWords();
  const t = words.devices;
  const may = useMay();
  const { configuration: c } = device;
  return (
    <Panel title={t.configuration} extra={may("ACCOUNT_CARE") && c.state !== "NONE" && <Redeliver device={device.id} onDone={onDone} />}>
      <Facts rows={[
        [t.taskState, <State of="configurationState" value={c.state} />],
        [t.desiredKey, c.desiredKey && <span className="mono">{c.desiredKey}</span>],
        [t.appliedKey, c.appliedKey && <span className="mono">{c.appliedKey}</span>],
        [t.changedAt, <Time at={c.changedAt} />],
        [t.failure, c.drifting ? t.drifting : c.failure],
        [t.unsupported, c.unsupportedPaths.length > 0 ? c.unsupportedPaths.map((path) => <div key={path} className="mono">{path}</div>) : null],
      ]} />
    </Panel>
  );
}

/** Has the configuration of a device delivered again, once a person has confirmed it. */
export function Redeliver({ device, onDone }: { readonly device: string; readonly onDone: () => void }) {
  const words = useWords();
  const t = words.devices;
  const { message } = App.useApp();
  const keyFor = useIdempotencyKey();
  /** The same may be wanted again once it was done. */
  const [round, setRound] = useState(0);
  const [result, redeliver] = useMutation(RedeliverConfigurationDocument);
  const send = async () => {
    const { data } = await redeliver({ input: { device: { id: device }, wake: true, idempotencyKey: keyFor([round, device]) } });
    if (!data) return;
    const refused = data.redeliverConfiguration.userErrors;
    if (refused.length > 0) {
      void message.error(refused.map((r) => sentence(r, words)).join("; "));
      return;
    }
    setRound(round + 1);
    void message.success(t.redelivered);
    onDone();
  };
  return (
    <>
      {result.error && <Failure error={result.error} />}
      <Popconfirm title={t.redeliver} description={t.redeliverAsk} okText={t.redeliver} cancelText={words.cancel} onConfirm={send}>
        <Button size="small" loading={result.fetching}>{t.redeliver}</Button>
      </Popconfirm>
    </>
  );
}

/** What the device last told of its lines, with the cause of a refused registration. */
export function Lines({ list }: { readonly list: Device["registrations"] }) {
  const words = useWords();
  const t = words.devices;
  return (
    <Panel title={t.lines} flush>
      <Table
        size="small"
        rowKey="lineIndex"
        dataSource={list}
        pagination={false}
        scroll={{ x: "max-content" }}
        locale={{ emptyText: <Nothing text={t.noLines} /> }}
        columns={[
          { title: t.line, key: "line", render: (_, l) => l.lineIndex },
          { title: words.accounts.state, key: "status", render: (_, l) => <State of="lineStatus" value={l.status} /> },
          { title: t.since, key: "since", render: (_, l) => <Time at={l.since} /> },
          { title: t.sip, key: "sip", render: (_, l) => (l.sipStatus === null ? <span className="quiet">–</span> : `${l.sipStatus}${l.reason ? ` ${l.reason}` : ""}`) },
          { title: t.answeredAt, key: "answeredAt", render: (_, l) => <Time at={l.answeredAt} /> },
          { title: t.reportedAt, key: "reportedAt", render: (_, l) => <Time at={l.reportedAt} /> },
        ]}
      />
    </Panel>
  );
}
