import { App, Form, Input, Modal } from "antd";
import { useState } from "react";
import { useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { RewindWebhookDocument } from "../../lib/documents";
import type { WebhookPartsFragment } from "../../lib/documents";
import { useWords } from "../../lib/i18n";

interface Values {
  readonly cursor?: string;
  readonly since?: string;
}

interface Props {
  readonly webhook: WebhookPartsFragment;
  readonly onDone: () => void;
  readonly onClosed: () => void;
}

const fieldNames = ["cursor", "since"] as const;

/** Lets deliveries go on after another place of the log. */
export function Rewind({ webhook, onDone, onClosed }: Props) {
  const words = useWords();
  const t = words.webhooks;
  const { message } = App.useApp();
  const [form] = Form.useForm<Values>();
  const [open, setOpen] = useState(true);
  const [result, rewind] = useMutation(RewindWebhookDocument);
  const refusals = useRefusals(form, fieldNames);
  const submit = async ({ cursor, since }: Values) => {
    refusals.clear();
    const { data, error } = await rewind({ input: { id: webhook.id, cursor: since ? "" : (cursor ?? "").trim(), ...(since ? { since: new Date(since).toISOString() } : {}) } });
    if (!refusals.show({ error, refusals: data?.rewindWebhook.userErrors })) return;
    void message.success(t.rewound);
    onDone();
    setOpen(false);
  };
  return (
    <Modal open={open} title={`${t.rewind} · ${webhook.url}`} okText={t.rewind} confirmLoading={result.fetching} onOk={() => form.submit()} onCancel={() => setOpen(false)} afterClose={onClosed}>
      {refusals.view()}
      <p>{t.rewindHelp}</p>
      <Form<Values> form={form} layout="vertical" onFinish={submit} initialValues={{ cursor: webhook.ackedCursor ?? "" }}>
        <Form.Item<Values> name="cursor" label={t.cursor} extra={t.cursorHelp}><Input className="mono" maxLength={64} /></Form.Item>
        <Form.Item<Values> name="since" label={t.since} extra={t.sinceHelp}><Input type="datetime-local" step={1} /></Form.Item>
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}
