import { SearchOutlined } from "@ant-design/icons";
import { Button, Input, Select, Table } from "antd";
import { useEffect, useRef } from "react";
import { Link } from "wouter";
import { useQuery } from "urql";
import { Page } from "../../components/Page";
import { Pager } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { Live, State } from "../../components/State";
import { Time } from "../../components/Time";
import { DevicesDocument } from "../../lib/documents";
import type { ClientType, DeviceSort, DevicesQuery, EventPartsFragment, Reachability } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useListAddress } from "../../lib/paging";
import { useMay } from "../../lib/rights";
import { useLive } from "../../lib/useLive";

type Row = DevicesQuery["devices"]["nodes"][number];

const types: readonly ClientType[] = ["PC", "MOBILE", "MAGIC_SCREEN", "GENERIC"];
const reachabilities: readonly Reachability[] = ["ONLINE", "STALE", "OFFLINE", "NEVER_SEEN"];
const sorts: readonly DeviceSort[] = ["CREATED_AT", "LAST_INFORM_AT", "SERIAL_NUMBER"];

export default function DeviceList() {
  const words = useWords();
  const t = words.devices;
  const may = useMay();
  const address = useListAddress();
  const text = address.params.get("serial") ?? "";
  const version = address.params.get("version") ?? "";
  const clientTypes = address.many("type", types);
  const reachability = address.many("reachability", reachabilities);
  const sort = address.one("sort", sorts) ?? "CREATED_AT";
  const [result, read] = useQuery({
    query: DevicesDocument,
    variables: {
      filter: {
        ...(text ? { text } : {}), ...(version ? { softwareVersions: [version] } : {}),
        ...(clientTypes.length > 0 ? { clientTypes } : {}), ...(reachability.length > 0 ? { reachability } : {}),
      },
      sort, direction: sort === "SERIAL_NUMBER" ? "ASC" : "DESC", ...address.window,
    },
  });
  const again = () => read({ requestPolicy: "network-only" });
  const devices = result.data?.devices;
  const shown = new Set(devices?.nodes.map((d) => d.id));
  /** A device that is not shown may belong on the first page, if that is open. */
  const atStart = "first" in address.window && address.window.after === undefined;
  return (
    <Page title={t.title} actions={may("EVENT_READ") && <Follow concerns={(id) => shown.has(id) || atStart} refresh={again} />}>
      <div className="panel">
        <form
          className="filters"
          key={`${text}\n${version}`}
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const form = new FormData(event.currentTarget);
            address.change({ serial: String(form.get("serial") ?? "").trim(), version: String(form.get("version") ?? "").trim() });
          }}
        >
          <label>{t.serial}<Input name="serial" defaultValue={text} placeholder={t.serialHint} maxLength={64} allowClear style={{ width: 200 }} /></label>
          <label>{t.version}<Input name="version" defaultValue={version} placeholder={t.versionHint} maxLength={64} allowClear style={{ width: 140 }} /></label>
          <label>{t.types}
            <Select mode="multiple" value={clientTypes} placeholder={words.all} style={{ minWidth: 160 }} options={types.map((c) => ({ value: c, label: words.clientType[c] }))}
              onChange={(value) => address.change({ type: value })} />
          </label>
          <label>{t.reachability}
            <Select mode="multiple" value={reachability} placeholder={words.all} style={{ minWidth: 160 }}
              options={reachabilities.map((r) => ({ value: r, label: words.reachability[r] }))} onChange={(value) => address.change({ reachability: value })} />
          </label>
          <label>{t.sort}
            <Select value={sort} style={{ width: 140 }} options={sorts.map((s) => ({ value: s, label: t.sorts[s] }))} onChange={(value) => address.change({ sort: value })} />
          </label>
          <Button htmlType="submit" icon={<SearchOutlined aria-hidden />}>{words.search}</Button>
          <Button type="text" onClick={() => address.change({ serial: "", version: "", type: [], reachability: [], sort: "" })}>{words.reset}</Button>
        </form>
        <Result result={result} retry={again}>
          {({ devices: page }) => (
            <>
              <Table<Row>
                size="small"
                rowKey="id"
                dataSource={page.nodes}
                pagination={false}
                scroll={{ x: "max-content" }}
                locale={{ emptyText: <Nothing text={t.empty} /> }}
                onRow={(d) => ({ "data-serial": d.serialNumber, "data-reachability": d.reachability }) as object}
                columns={[
                  { title: t.serial, key: "serial", render: (_, d) => <Link className="mono" href={`/devices/${d.id}`}>{d.serialNumber}</Link> },
                  { title: t.reachability, key: "reachability", render: (_, d) => <State of="reachability" value={d.reachability} /> },
                  { title: t.type, key: "type", render: (_, d) => words.clientType[d.clientType] },
                  { title: t.model, dataIndex: "model", key: "model" },
                  { title: t.version, dataIndex: "softwareVersion", key: "version" },
                  {
                    title: t.account, key: "account", render: (_, d) => [...d.bindings.nodes, ...d.suspended.nodes].map(({ account }) => (
                      <Link key={account.id} className="mono" href={`/accounts/${account.id}`}>{account.externalId}</Link>
                    )),
                  },
                  { title: t.configuration, key: "configuration", render: (_, d) => <State of="configurationState" value={d.configuration.state} /> },
                  { title: t.lastInform, key: "inform", render: (_, d) => <Time at={d.lastInformAt} /> },
                ]}
              />
              <Pager page={page.pageInfo} address={address} />
            </>
          )}
        </Result>
      </div>
    </Page>
  );
}

/** However much happens, the page is read again at most this often. */
const calm = 1_000;

/** Reads the page again when something happens to a device that is, or may belong, on it. */
function Follow({ concerns, refresh }: { readonly concerns: (deviceId: string) => boolean; readonly refresh: () => void }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(refresh);
  useEffect(() => {
    latest.current = refresh;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  const onEvent = (event: EventPartsFragment) => {
    if (timer.current !== undefined || !event.deviceId || !concerns(event.deviceId)) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      latest.current();
    }, calm);
  };
  const state = useLive({
    filter: { types: ["DEVICE_REGISTERED", "DEVICE_REACHABILITY_CHANGED", "BINDING_CHANGED", "CONFIGURATION_CHANGED"] }, onStart: refresh, onEvent,
  });
  return <Live state={state} />;
}
