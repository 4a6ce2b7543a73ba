import { Alert, Button, Form, Input } from "antd";
import { CombinedError } from "urql";
import { useState } from "react";
import { describe } from "../../components/Failure";
import { LanguageSwitch } from "../../components/LanguageSwitch";
import { lab } from "../../lib/environment";
import { useWords } from "../../lib/i18n";
import { signIn } from "../../lib/session";

interface Values { readonly username: string; readonly password: string }

export function SignIn({ ended }: { readonly ended: boolean }) {
  const words = useWords();
  const t = words.session;
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string>();

  const submit = async ({ username, password }: Values) => {
    setBusy(true);
    setRefusal(undefined);
    try {
      // A wrong name, a wrong password and a locked operator are told apart by the audit log only.
      if ((await signIn(username, password)).length > 0) setRefusal(t.refused);
    } catch (caught) {
      setRefusal(caught instanceof CombinedError ? describe(words, caught) : words.errors.title);
    }
    setBusy(false);
  };

  return (
    <div className="sign-in">
      {lab ? <div className="lab" role="note">{words.labBanner}</div> : <div />}
      <main className="card">
        <h1><span>softacs · {words.product}</span><LanguageSwitch /></h1>
        {ended && !refusal && <Alert type="info" showIcon title={t.ended} style={{ marginBottom: 16 }} />}
        {refusal && <Alert type="error" showIcon title={refusal} style={{ marginBottom: 16 }} />}
        <Form<Values> layout="vertical" requiredMark={false} onFinish={submit} disabled={busy}>
          <Form.Item name="username" label={t.username} rules={[{ required: true, message: t.required }]}>
            <Input autoComplete="username" autoFocus maxLength={64} />
          </Form.Item>
          <Form.Item name="password" label={t.password} rules={[{ required: true, message: t.required }]}>
            <Input.Password autoComplete="current-password" maxLength={256} />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy}>{t.signIn}</Button>
        </Form>
      </main>
    </div>
  );
}
