import { App, Button, Drawer, Form } from "antd";
import { useState } from "react";
import { Link } from "wouter";
import { useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { ProvisionAccountDocument } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";
import { AccountFields } from "./AccountFields";
import { fieldNames, newAccount, provisionInput } from "./values";
import type { AccountValues } from "./values";

interface Props {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onDone: (id: string) => void;
}

/** Provisions an account. */
export function AccountCreate({ open, onClose, onDone }: Props) {
  const words = useWords();
  const t = words.accounts;
  const { message } = App.useApp();
  const [form] = Form.useForm<AccountValues>();
  const [result, provision] = useMutation(ProvisionAccountDocument);
  const refusals = useRefusals(form, fieldNames);
  const [existing, setExisting] = useState<string>();
  const keyFor = useIdempotencyKey();

  const submit = async (values: AccountValues) => {
    const input = provisionInput(values);
    refusals.clear();
    setExisting(undefined);
    const { data, error } = await provision({ input: { ...input, idempotencyKey: keyFor(input) } });
    const payload = data?.provisionAccount;
    if (refusals.show({ error, refusals: payload?.userErrors }) && payload?.account) {
      void message.success(t.created);
      form.resetFields();
      onDone(String(payload.account.id));
      return;
    }
    setExisting(payload?.userErrors.map((e) => ("existingId" in e ? String(e.existingId) : undefined)).find((id) => id !== undefined));
  };

  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={t.createTitle}
      size={720}
      footer={
        <div className="pager">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="primary" loading={result.fetching} onClick={() => form.submit()}>{t.create}</Button>
        </div>
      }
    >
      {refusals.view()}
      {existing && <p><Link href={`/accounts/${existing}`}>{t.openExisting}</Link></p>}
      <Form<AccountValues> form={form} layout="vertical" initialValues={newAccount} onFinish={submit} scrollToFirstError>
        <AccountFields create />
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
