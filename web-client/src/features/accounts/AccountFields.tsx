import { Checkbox, Collapse, Form, Input, InputNumber, Select } from "antd";
import { useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";
import { clientTypes, serviceCodes } from "./values";
import type { AccountValues } from "./values";

/** The fields of an account; a new one also has its keys, and its first password. */
export function AccountFields({ create }: { readonly create: boolean }) {
  const words = useWords();
  const t = words.accounts;
  // The identities are one list: whoever sees them masked cannot change one of them.
  const may = useMay();
  const required = [{ required: true, message: words.session.required }];
  // A masked number is never sent, so it need not be one.
  const number = { pattern: /^(\+[1-9][0-9]{7,14}|\+?[0-9]*\*[0-9*]*)$/, message: t.numberRule };
  return (
    <>
      <div className="fields">
        {create && (
          <>
            <Item name="externalId" label={t.externalId} extra={t.externalIdHelp} rules={required}><Input autoFocus maxLength={64} /></Item>
            <Item name="msisdn" label={t.msisdn} extra={t.msisdnHelp} rules={[...required, number]}><Input inputMode="tel" maxLength={16} /></Item>
          </>
        )}
        <Item name="displayName" label={t.displayName}><Input maxLength={128} /></Item>
        <Item name="region" label={t.region}><Input maxLength={64} /></Item>
        <Item name="boundMobile" label={t.boundMobile} extra={t.boundMobileHelp} rules={[number]}><Input inputMode="tel" maxLength={16} /></Item>
        <Item name="maxDevices" label={t.maxDevices}><InputNumber min={1} max={100} style={{ width: "100%" }} /></Item>
      </div>
      <Item name="clientTypes" label={t.clientTypes}><Checkbox.Group options={clientTypes.map((c) => ({ value: c, label: words.clientType[c] }))} /></Item>
      <Item name="services" label={t.services} extra={t.servicesHelp}><Select mode="multiple" options={serviceCodes.map((code) => ({ value: code, label: code }))} /></Item>
      {create && <Item name="activate" valuePropName="checked"><Checkbox>{t.activate}</Checkbox></Item>}
      <Collapse
        size="small"
        items={[{
          key: "more", label: t.more, forceRender: true, children: (
            <div className="fields">
              <Item name="imsi" label={t.imsi}><Input maxLength={15} /></Item>
              <Item name="broadbandAccount" label={t.broadbandAccount}><Input maxLength={64} /></Item>
              <Item name="screenSerial" label={t.screenSerial}><Input maxLength={64} /></Item>
              <Item name="impi" label={t.impi} extra={create ? t.identityHelp : undefined}><Input maxLength={128} /></Item>
              <Item name="impu" label={t.impu} extra={t.impuHelp}><Input.TextArea rows={2} disabled={!create && !may("PII_READ")} /></Item>
              <Item name="sipPassword" label={t.sipPassword} extra={t.sipPasswordHelp}><Input.Password autoComplete="off" maxLength={128} /></Item>
              {create && <Item name="initialPassword" label={t.initialPassword} extra={t.initialPasswordHelp}><Input.Password autoComplete="off" maxLength={128} /></Item>}
            </div>
          ),
        }]}
      />
    </>
  );
}

const Item = Form.Item<AccountValues>;
