import { App, Button, Drawer, Form, Input, Select, Switch } from "antd";
import { useState } from "react";
import { useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { SaveWebhookDocument } from "../../lib/documents";
import type { EventType, WebhookPartsFragment } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { randomKey } from "../../lib/random";

interface Values {
  readonly url: string;
  readonly types: EventType[];
  readonly enabled: boolean;
  readonly secret?: string;
}

interface Props {
  readonly webhook: WebhookPartsFragment | undefined;
  readonly onDone: () => void;
  readonly onClosed: () => void;
}

const fieldNames = ["url", "types", "enabled", "secret"] as const;

/** Makes or changes a webhook. Its secret is seen here and nowhere else; a new one has one already, to be copied. */
export function WebhookForm({ webhook, onDone, onClosed }: Props) {
  const words = useWords();
  const t = words.webhooks;
  const { message } = App.useApp();
  const [form] = Form.useForm<Values>();
  const [open, setOpen] = useState(true);
  const [result, save] = useMutation(SaveWebhookDocument);
  const refusals = useRefusals(form, fieldNames);
  const required = [{ required: true, message: words.session.required }];
  const types = Object.keys(words.eventType) as EventType[];
  const submit = async ({ secret, ...values }: Values) => {
    refusals.clear();
    const { data, error } = await save({
      input: { ...values, url: values.url.trim(), ...(secret ? { secret } : {}), ...(webhook ? { id: webhook.id, expectedVersion: webhook.version } : {}) },
    });
    if (!refusals.show({ error, refusals: data?.saveWebhook.userErrors })) return;
    void message.success(t.saved);
    onDone();
    setOpen(false);
  };
  return (
    <Drawer
      open={open}
      onClose={() => setOpen(false)}
      afterOpenChange={(now) => !now && onClosed()}
      title={webhook ? t.edit : t.create}
      size={640}
      footer={
        <div className="pager">
          <Button onClick={() => setOpen(false)}>{words.cancel}</Button>
          <Button type="primary" loading={result.fetching} onClick={() => form.submit()}>{words.save}</Button>
        </div>
      }
    >
      {refusals.view()}
      <Form<Values>
        form={form}
        layout="vertical"
        onFinish={submit}
        initialValues={webhook ? { url: webhook.url, types: webhook.types, enabled: webhook.enabled } : { types: [], enabled: true, secret: randomKey() + randomKey() }}
      >
        <Form.Item<Values> name="url" label={t.url} extra={t.urlHelp} rules={required}><Input className="mono" maxLength={2048} placeholder="https://bss.example.net/events" /></Form.Item>
        <Form.Item<Values> name="types" label={t.types}>
          <Select mode="multiple" placeholder={words.all} options={types.map((type) => ({ value: type, label: words.eventType[type] }))} />
        </Form.Item>
        <Form.Item<Values> name="secret" label={t.secret} extra={webhook ? t.newSecretHelp : t.secretHelp} {...(webhook ? {} : { rules: required })}>
          <Input className="mono" maxLength={256} autoComplete="off" />
        </Form.Item>
        <Form.Item<Values> name="enabled" label={t.enabled} valuePropName="checked"><Switch /></Form.Item>
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
