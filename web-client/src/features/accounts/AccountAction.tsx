import { Alert, App, Checkbox, Form, Input, Modal, Radio, Select } from "antd";
import { useState } from "react";
import { useClient } from "urql";
import { useRefusals } from "../../components/useRefusals";
import type { AccountPartsFragment } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";
import { everyReason, names, reasonsLeft } from "./actions";
import type { ActionValues, Asked } from "./actions";
import { send } from "./send";
import type { Done } from "./send";

interface Props {
  readonly action: Asked;
  readonly account: AccountPartsFragment;
  readonly onRefused: () => void;
  readonly onClosed: () => void;
}

const fieldNames = ["reason", "note", "reauthenticate"] as const;

/** Says what an action does, takes what it needs, and does it. It is there while its dialogue is, so each opening has an idempotency key of its own. */
export function AccountAction({ action, account, onRefused, onClosed }: Props) {
  const words = useWords();
  const t = words.accounts;
  const said = words.accountAction[action];
  const { message } = App.useApp();
  const client = useClient();
  const [form] = Form.useForm<ActionValues>();
  const [open, setOpen] = useState(true);
  const [busy, setBusy] = useState(false);
  const refusals = useRefusals(form, fieldNames);
  const keyFor = useIdempotencyKey();

  const tell = ({ account: now, sms }: Done) => {
    const left = now?.suspensions ?? [];
    if (action === "resume" && left.length > 0) void message.warning(t.stillSuspended(left.map((s) => words.suspendReason[s.reason]).join(" · ")));
    else if (sms) void message.success(t.smsQueued(sms.to), 8);
    else void message.success(said.done);
  };
  const submit = async (values: ActionValues) => {
    refusals.clear();
    setBusy(true);
    const { error, done } = await send(client, action, account, values, keyFor);
    setBusy(false);
    if (refusals.show({ error, refusals: done?.userErrors })) {
      if (done) tell(done);
      setOpen(false);
    } else {
      onRefused();
    }
  };

  const unreachable = action === "resetPassword" && account.boundMobile === null;
  return (
    <Modal
      open={open}
      title={`${said.name} · ${account.displayName ?? account.externalId}`}
      okText={said.name}
      okButtonProps={{ danger: action === "terminate", disabled: unreachable }}
      confirmLoading={busy}
      onOk={() => form.submit()}
      onCancel={() => setOpen(false)}
      afterClose={onClosed}
    >
      {refusals.view()}
      {action === "terminate" ? <Alert type="error" showIcon title={said.does} style={{ marginBottom: 16 }} /> : <p>{said.does}</p>}
      {action === "resetPassword" && (unreachable
        ? <Alert type="warning" showIcon title={t.noMobile} style={{ marginBottom: 16 }} />
        : <p>{t.boundMobile} <span className="number">{account.boundMobile}</span></p>)}
      <Form<ActionValues> form={form} layout="vertical" initialValues={{ reason: action === "resume" ? everyReason : undefined, reauthenticate: true }} onFinish={submit}>
        <Fields action={action} account={account} />
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}

function Fields({ action, account }: { readonly action: Asked; readonly account: AccountPartsFragment }) {
  const words = useWords();
  const t = words.accounts;
  const required = [{ required: true, message: words.session.required }];
  const inForce = account.suspensions.map((s) => s.reason);
  return (
    <>
      {action === "suspend" && (
        <Item name="reason" label={t.suspensions} rules={required}><Select options={reasonsLeft(account).map((r) => ({ value: r, label: words.suspendReason[r] }))} /></Item>
      )}
      {action === "resume" && (
        <Item name="reason" label={t.suspensions} extra={inForce.some((r) => r === "FRAUD" || r === "REGULATORY") && t.guardedReasons}>
          <Radio.Group vertical options={[{ value: everyReason, label: t.everyReason }, ...inForce.map((r) => ({ value: r, label: words.suspendReason[r] }))]} />
        </Item>
      )}
      {action === "resetPassword" && <Item name="reauthenticate" valuePropName="checked" extra={t.reauthenticateHelp}><Checkbox>{t.reauthenticate}</Checkbox></Item>}
      {action !== "resetPassword" && <Item name="note" label={t.note} extra={t.noteHelp}><Input.TextArea rows={2} maxLength={255} /></Item>}
      {action === "terminate" && (
        <Item name="typed" label={t.typeName} required rules={[{ validator: (_, typed: unknown) => (names(account, String(typed ?? "")) ? Promise.resolve() : Promise.reject(new Error(t.typeNameRule))) }]}>
          <Input autoComplete="off" maxLength={64} />
        </Item>
      )}
    </>
  );
}

const Item = Form.Item<ActionValues>;
