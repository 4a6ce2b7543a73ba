import { Alert, App, Button, Drawer, Form } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { useClient, useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { AccountDocument, ModifyAccountDocument } from "../../lib/documents";
import type { AccountPartsFragment } from "../../lib/documents";
import { differences } from "../../lib/fields";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";
import { useMay } from "../../lib/rights";
import { AccountFields } from "./AccountFields";
import { fieldNames, modifyInput, valuesOf } from "./values";
import type { AccountValues } from "./values";

interface Props {
  readonly account: AccountPartsFragment;
  readonly open: boolean;
  readonly onClose: () => void;
}

/** Changes an account, on the version that the form was filled with. */
export function AccountModify({ account, open, onClose }: Props) {
  const words = useWords();
  const t = words.accounts;
  const may = useMay();
  const { message } = App.useApp();
  const client = useClient();
  const [form] = Form.useForm<AccountValues>();
  const [result, modify] = useMutation(ModifyAccountDocument);
  const [base, setBase] = useState(account);
  const refusals = useRefusals(form, fieldNames);
  const [conflict, setConflict] = useState<number>();
  const keyFor = useIdempotencyKey();

  // Whatever happens to the account while the form is open waits until it is saved or opened again.
  const fill = useEffectEvent(() => {
    setBase(account);
    refusals.clear();
    setConflict(undefined);
    form.resetFields();
    form.setFieldsValue(valuesOf(account));
  });
  useEffect(() => {
    if (open) fill();
  }, [open]);

  /** Puts the newest values under the changes that the person has made. */
  const rebase = async () => {
    const now = form.getFieldsValue();
    const touched = new Set(Object.keys(differences(valuesOf(base), now)));
    const mine = Object.fromEntries(Object.entries(now).filter(([name]) => touched.has(name)));
    const answer = await client.query(AccountDocument, { id: base.id, withDevices: false }, { requestPolicy: "network-only" }).toPromise();
    const newest = answer.data?.account;
    if (!newest) return;
    setBase(newest);
    setConflict(newest.version);
    form.setFieldsValue({ ...valuesOf(newest), ...mine });
  };

  const submit = async (values: AccountValues) => {
    const input = modifyInput(base, values);
    if (input === undefined) {
      void message.info(t.nothingChanged);
      return;
    }
    refusals.clear();
    setConflict(undefined);
    const { data, error } = await modify({ input: { ...input, idempotencyKey: keyFor(input) } });
    const userErrors = data?.modifyAccount.userErrors;
    if (userErrors?.some((e) => e.code === "VERSION_CONFLICT")) {
      await rebase();
    } else if (refusals.show({ error, refusals: userErrors })) {
      void message.success(t.saved);
      onClose();
    }
  };

  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={t.modifyTitle}
      size={720}
      footer={
        <div className="pager">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="primary" loading={result.fetching} onClick={() => form.submit()}>{words.save}</Button>
        </div>
      }
    >
      {refusals.view()}
      {conflict !== undefined && <Alert type="warning" showIcon title={t.conflictTitle} description={t.conflict(conflict)} style={{ marginBottom: 12 }} />}
      {!may("PII_READ") && <p className="quiet">{t.masked}</p>}
      <Form<AccountValues> form={form} layout="vertical" onFinish={submit} scrollToFirstError>
        <AccountFields create={false} />
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}
