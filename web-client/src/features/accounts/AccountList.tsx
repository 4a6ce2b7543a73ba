import { PlusOutlined, SearchOutlined } from "@ant-design/icons";
import { Button, Input, Select, Table } from "antd";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useQuery } from "urql";
import { Page } from "../../components/Page";
import { Pager } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { AccountsDocument } from "../../lib/documents";
import type { AccountSort, AccountState, AccountsQuery } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useListAddress } from "../../lib/paging";
import { useMay } from "../../lib/rights";
import { AccountCreate } from "./AccountCreate";

type Row = AccountsQuery["accounts"]["nodes"][number];

const states: readonly AccountState[] = ["PENDING", "ACTIVE", "SUSPENDED", "TERMINATED"];
const sorts: readonly AccountSort[] = ["CREATED_AT", "UPDATED_AT", "MSISDN"];

export default function AccountList() {
  const words = useWords();
  const t = words.accounts;
  const may = useMay();
  const [, navigate] = useLocation();
  const address = useListAddress();
  const [creating, setCreating] = useState(false);
  const text = address.params.get("text") ?? "";
  const prefix = (address.params.get("number") ?? "").replace(/[^+0-9]/g, "");
  const chosen = address.many("state", states);
  const sort = address.one("sort", sorts) ?? "CREATED_AT";
  const [result, read] = useQuery({
    query: AccountsDocument,
    variables: {
      filter: { ...(text ? { text } : {}), ...(prefix ? { msisdnPrefix: prefix } : {}), ...(chosen.length > 0 ? { states: chosen } : {}) },
      sort, direction: sort === "MSISDN" ? "ASC" : "DESC", ...address.window,
    },
  });
  const again = () => read({ requestPolicy: "network-only" });
  return (
    <Page
      title={t.title}
      actions={may("ACCOUNT_WRITE") && <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setCreating(true)}>{t.create}</Button>}
    >
      <div className="panel">
        <form
          className="filters"
          key={`${text}\n${prefix}`}
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const form = new FormData(event.currentTarget);
            address.change({ text: String(form.get("text") ?? "").trim(), number: String(form.get("number") ?? "").replace(/[^+0-9]/g, "") });
          }}
        >
          <label>{t.text}<Input name="text" defaultValue={text} placeholder={t.textHint} maxLength={64} allowClear style={{ width: 240 }} /></label>
          <label>{t.prefix}<Input name="number" defaultValue={prefix} placeholder={t.prefixHint} maxLength={16} allowClear style={{ width: 160 }} /></label>
          <label>{t.states}
            <Select mode="multiple" value={chosen} placeholder={words.all} style={{ minWidth: 180 }} options={states.map((s) => ({ value: s, label: words.accountState[s] }))}
              onChange={(value) => address.change({ state: value })} />
          </label>
          <label>{t.sort}
            <Select value={sort} style={{ width: 130 }} options={sorts.map((s) => ({ value: s, label: t.sorts[s] }))} onChange={(value) => address.change({ sort: value })} />
          </label>
          <Button htmlType="submit" icon={<SearchOutlined aria-hidden />}>{words.search}</Button>
          <Button type="text" onClick={() => address.change({ text: "", number: "", state: [], sort: "" })}>{words.reset}</Button>
        </form>
        <Result result={result} retry={again}>
          {({ accounts }) => (
            <>
              <Table<Row>
                size="small"
                rowKey="id"
                dataSource={accounts.nodes}
                pagination={false}
                loading={{ spinning: result.fetching && result.stale === false, delay: 300 }}
                scroll={{ x: "max-content" }}
                locale={{ emptyText: <Nothing text={t.empty} /> }}
                columns={[
                  { title: t.msisdn, key: "msisdn", render: (_, a) => <Link className="number" href={`/accounts/${a.id}`}>{a.msisdn}</Link> },
                  { title: t.displayName, dataIndex: "displayName", key: "name" },
                  { title: t.state, key: "state", render: (_, a) => <State of="accountState" value={a.state} /> },
                  { title: t.externalId, key: "external", render: (_, a) => <span className="mono">{a.externalId}</span> },
                  { title: t.region, dataIndex: "region", key: "region" },
                  { title: t.clientTypes, key: "types", render: (_, a) => a.clientTypes.map((c) => words.clientType[c]).join(" · ") },
                  { title: t.passwordState, key: "password", render: (_, a) => <State of="passwordState" value={a.passwordState} /> },
                  { title: t.createdAt, key: "created", render: (_, a) => <Time at={a.createdAt} /> },
                  { title: t.updatedAt, key: "updated", render: (_, a) => <Time at={a.updatedAt} /> },
                ]}
              />
              <Pager page={accounts.pageInfo} address={address} />
            </>
          )}
        </Result>
      </div>
      <AccountCreate open={creating} onClose={() => setCreating(false)} onDone={(id) => navigate(`/accounts/${id}`)} />
    </Page>
  );
}
