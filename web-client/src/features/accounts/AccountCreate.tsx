import { App, Button, Drawer, Form } from "antd";
import { useState } from "react";
import { Link } from "wouter";
import { useMutation } from "urql";
import { Failure } from "../../components/Failure";
import { Refusals } from "../../components/Refusals";
import { ProvisionAccountDocument } from "../../lib/documents";
import type { RefusalFragment } from "../../lib/documents";
import { place } from "../../lib/fields";
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
  const [rest, setRest] = useState<readonly RefusalFragment[]>([]);
  const [existing, setExisting] = useState<string>();
  const keyFor = useIdempotencyKey();

  const submit = async (values: AccountValues) => {
    const input = provisionInput(values);
    setRest([]);
    setExisting(undefined);
    const { data } = await provision({ input: { ...input, idempotencyKey: keyFor(input) } });
    if (!data) return; // the error is shown
    const { account, userErrors } = data.provisionAccount;
    if (account && userErrors.length === 0) {
      void message.success(t.created);
      form.resetFields();
      onDone(String(account.id));
      return;
    }
    const placed = place(userErrors, fieldNames, words);
    form.setFields(placed.fields.map((f) => ({ ...f })));
    setRest(placed.rest);
    setExisting(userErrors.map((e) => ("existingId" in e ? String(e.existingId) : undefined)).find((id) => id !== undefined));
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
      {result.error && <Failure error={result.error} />}
      <Refusals list={rest} />
      {existing && <p><Link href={`/accounts/${existing}`}>{t.openExisting}</Link></p>}
      <Form<AccountValues> form={form} layout="vertical" initialValues={newAccount} onFinish={submit} scrollToFirstError>
        <AccountFields create />
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
