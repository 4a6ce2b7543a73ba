import { Table } from "antd";
import { useEffect } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { useQuery } from "urql";
import { Page } from "../../components/Page";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { SearchDocument } from "../../lib/documents";
import type { SearchQuery } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";

type Hit = SearchQuery["search"][number];

const place = (hit: Hit) => ("externalId" in hit ? `/accounts/${hit.id}` : "serialNumber" in hit ? `/devices/${hit.id}` : "/");

/** What the box in the header has found; a single find is opened at once. */
export default function SearchPage() {
  const words = useWords();
  const t = words.find;
  const may = useMay();
  const [params] = useSearchParams();
  const [, navigate] = useLocation();
  const text = params.get("text") ?? "";
  const [result, read] = useQuery({ query: SearchDocument, variables: { text, withDevices: may("DEVICE_READ") }, pause: text === "", requestPolicy: "network-only" });
  const hits = result.fetching ? undefined : result.data?.search;
  const only = hits?.length === 1 ? hits[0] : undefined;
  useEffect(() => {
    if (only) navigate(place(only), { replace: true });
  }, [only, navigate]);
  return (
    <Page title={t.title(text)}>
      <div className="panel">
        <Result result={text === "" ? { data: { search: [] }, fetching: false } : result} retry={() => read({ requestPolicy: "network-only" })}>
          {({ search }) => (
            <Table<Hit>
              size="small"
              rowKey={(hit) => place(hit)}
              dataSource={search}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.empty} /> }}
              columns={[
                { title: t.what, key: "what", width: 120, render: (_, hit) => ("externalId" in hit ? words.events.account : words.events.device) },
                { title: t.name, key: "name", render: (_, hit) => (
                  <Link href={place(hit)}>{"externalId" in hit ? hit.displayName ?? hit.externalId : "serialNumber" in hit ? <span className="mono">{hit.serialNumber}</span> : null}</Link>
                ) },
                { title: words.accounts.msisdn, key: "number", render: (_, hit) => ("externalId" in hit ? <span className="number">{hit.msisdn}</span> : "clientType" in hit ? words.clientType[hit.clientType] : null) },
                { title: words.accounts.state, key: "state", render: (_, hit) => (
                  "externalId" in hit ? <State of="accountState" value={hit.state} /> : "reachability" in hit ? <State of="reachability" value={hit.reachability} /> : null
                ) },
              ]}
            />
          )}
        </Result>
      </div>
    </Page>
  );
}
