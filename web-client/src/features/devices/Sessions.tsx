import { App, Button, Drawer, Form, Input, InputNumber, Table } from "antd";
import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { Time } from "../../components/Time";
import { useRefusals } from "../../components/useRefusals";
import { DeviceSessionsDocument, StartDeviceTraceDocument } from "../../lib/documents";
import type { DeviceSessionsQuery } from "../../lib/documents";
import { say, useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";

type Session = NonNullable<DeviceSessionsQuery["device"]>["sessions"]["nodes"][number];

const pageSize = 10;

/** What was recorded of the device's sessions, and the order to record more. */
export function Sessions({ id }: { readonly id: string }) {
  const words = useWords();
  const t = words.devices;
  const turns = useTurns();
  const [starting, setStarting] = useState(false);
  const [shown, setShown] = useState<Session>();
  const [result, read] = useQuery({ query: DeviceSessionsDocument, variables: { id, first: pageSize, ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  return (
    <Panel flush>
      <div className="filters">
        <Button type="primary" onClick={() => setStarting(true)}>{t.startTrace}</Button>
        <Button onClick={again}>{words.refresh}</Button>
      </div>
      <Result result={result} retry={again}>
        {({ device }) => (
          <>
            {device?.traceUntil && <p className="quiet" style={{ paddingInline: 16 }}>{t.traceUntil} <Time at={device.traceUntil} /></p>}
            <Table<Session>
              size="small"
              rowKey="id"
              dataSource={device?.sessions.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.noSessions} /> }}
              onRow={(session) => ({ "data-session": session.outcome }) as object}
              columns={[
                { title: t.sessionStarted, key: "started", render: (_, s) => <Time at={s.startedAt} /> },
                { title: t.sessionEnded, key: "ended", render: (_, s) => <Time at={s.endedAt} /> },
                { title: words.devices.events, key: "events", render: (_, s) => s.events.join(", ") },
                { title: t.sessionOutcome, key: "outcome", render: (_, s) => say(words.sessionOutcome, s.outcome) },
                { title: t.network, key: "network", render: (_, s) => <span className="mono">{s.remoteAddress}</span> },
                { title: t.messages, key: "messages", render: (_, s) => <Button size="small" type="link" onClick={() => setShown(s)}>{t.showMessages(s.messages.length)}</Button> },
              ]}
            />
            <Turner turns={turns} page={device?.sessions.pageInfo} />
          </>
        )}
      </Result>
      <Messages session={shown} onClose={() => setShown(undefined)} />
      <StartTrace device={id} open={starting} onClose={() => setStarting(false)} onDone={again} />
    </Panel>
  );
}

function Messages({ session, onClose }: { readonly session: Session | undefined; readonly onClose: () => void }) {
  const t = useWords().devices;
  return (
    <Drawer open={session !== undefined} onClose={onClose} title={t.messages} size={960}>
      {session?.messages.map((m, i) => (
        <section key={i}>
          <h4>{m.fromDevice ? t.fromDevice : t.fromPlatform} · <span className="mono">{m.method}</span> · <Time at={m.at} /></h4>
          <pre className="json mono">{m.body}</pre>
        </section>
      ))}
    </Drawer>
  );
}

interface TraceValues {
  readonly minutes: number;
  readonly reason: string;
}

function StartTrace({ device, open, onClose, onDone }: { readonly device: string; readonly open: boolean; readonly onClose: () => void; readonly onDone: () => void }) {
  const words = useWords();
  const t = words.devices;
  const { message } = App.useApp();
  const [form] = Form.useForm<TraceValues>();
  const [result, start] = useMutation(StartDeviceTraceDocument);
  const refusals = useRefusals(form, ["minutes", "reason"] as const);

  const submit = async ({ minutes, reason }: TraceValues) => {
    refusals.clear();
    const { data, error } = await start({ input: { device: { id: device }, minutes, reason } });
    if (!refusals.show({ error, refusals: data?.startDeviceTrace.userErrors })) return;
    void message.success(t.traceStarted);
    form.resetFields();
    onDone();
    onClose();
  };
  const required = [{ required: true, message: words.session.required }];
  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={t.startTrace}
      size={480}
      footer={
        <div className="pager">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="primary" loading={result.fetching} onClick={() => form.submit()}>{t.startTrace}</Button>
        </div>
      }
    >
      {refusals.view()}
      <Form<TraceValues> form={form} layout="vertical" onFinish={submit} initialValues={{ minutes: 30 }}>
        <Form.Item<TraceValues> name="minutes" label={t.minutes} rules={required}><InputNumber min={1} max={1440} /></Form.Item>
        <Form.Item<TraceValues> name="reason" label={t.traceReason} extra={t.traceHelp} rules={required}><Input.TextArea rows={3} maxLength={256} /></Form.Item>
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
