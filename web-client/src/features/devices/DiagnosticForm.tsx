import { App, Button, Drawer, Form, Input, InputNumber, Select } from "antd";
import { useState } from "react";
import { useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { RunDiagnosticDocument } from "../../lib/documents";
import type { DiagnosticKind, RunDiagnosticInput } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";

const kinds: readonly DiagnosticKind[] = ["IP_PING", "TRACEROUTE", "DOWNLOAD_SPEED", "UPLOAD_SPEED", "NSLOOKUP", "SIP_REGISTRATION", "MEDIA_LOOPBACK"];
const fieldNames = ["kind", "host", "server", "bytes", "count", "timeoutSeconds"] as const;

interface Values {
  readonly kind: DiagnosticKind;
  readonly host?: string;
  readonly server?: string;
  readonly bytes?: number | null;
  readonly count?: number | null;
  readonly timeoutSeconds: number;
}

/** Which arguments a kind takes beside its host. */
const takes = (kind: DiagnosticKind) => ({
  server: kind === "NSLOOKUP",
  bytes: kind === "UPLOAD_SPEED" || kind === "IP_PING" || kind === "TRACEROUTE",
  count: kind === "IP_PING" || kind === "TRACEROUTE" || kind === "NSLOOKUP",
});

interface Props {
  readonly device: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Asks a device to run a test. */
export function DiagnosticForm({ device, open, onClose, onDone }: Props) {
  const words = useWords();
  const t = words.diagnostics;
  const { message } = App.useApp();
  const [form] = Form.useForm<Values>();
  const kind = Form.useWatch("kind", form) ?? "IP_PING";
  const [result, run] = useMutation(RunDiagnosticDocument);
  const refusals = useRefusals(form, fieldNames);
  const keyFor = useIdempotencyKey();
  /** The same test may be wanted again once this form has done its work. */
  const [round, setRound] = useState(0);

  const submit = async (values: Values) => {
    const allowed = takes(values.kind);
    const input: Omit<RunDiagnosticInput, "idempotencyKey"> = {
      device: { id: device }, kind: values.kind, timeoutSeconds: values.timeoutSeconds,
      ...(values.host?.trim() ? { host: values.host.trim() } : {}),
      ...(allowed.server && values.server?.trim() ? { server: values.server.trim() } : {}),
      ...(allowed.bytes && values.bytes ? { bytes: values.bytes } : {}),
      ...(allowed.count && values.count ? { count: values.count } : {}),
    };
    refusals.clear();
    const { data, error } = await run({ input: { ...input, idempotencyKey: keyFor([round, input]) } });
    if (!refusals.show({ error, refusals: data?.runDiagnostic.userErrors })) return;
    void message.success(t.queued);
    setRound(round + 1);
    form.resetFields();
    onDone();
    onClose();
  };

  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={t.run}
      size={520}
      footer={
        <div className="pager">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="primary" loading={result.fetching} onClick={() => form.submit()}>{t.run}</Button>
        </div>
      }
    >
      {refusals.view()}
      <Form<Values> form={form} layout="vertical" onFinish={submit} initialValues={{ kind: "IP_PING", timeoutSeconds: 60 }}>
        <Form.Item<Values> name="kind" label={t.kind}><Select options={kinds.map((k) => ({ value: k, label: t.kinds[k] }))} /></Form.Item>
        <Form.Item<Values> name="host" label={t.target[kind]} rules={kind === "SIP_REGISTRATION" ? [] : [{ required: true, message: words.session.required }]}>
          <Input className="mono" maxLength={256} />
        </Form.Item>
        {takes(kind).server && <Form.Item<Values> name="server" label={t.server}><Input className="mono" maxLength={253} /></Form.Item>}
        {takes(kind).bytes && <Form.Item<Values> name="bytes" label={t.bytes}><InputNumber min={1} max={50_000_000} precision={0} style={{ width: 160 }} /></Form.Item>}
        {takes(kind).count && <Form.Item<Values> name="count" label={t.count}><InputNumber min={1} max={50} precision={0} style={{ width: 160 }} /></Form.Item>}
        <Form.Item<Values> name="timeoutSeconds" label={t.timeout}><InputNumber min={1} max={600} precision={0} style={{ width: 160 }} /></Form.Item>
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
