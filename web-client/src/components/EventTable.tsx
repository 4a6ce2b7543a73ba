import { Table, Tag } from "antd";
import { Link } from "wouter";
import type { EventPartsFragment } from "../lib/documents";
import { actorName, formatJSON } from "../lib/format";
import { say, useWords } from "../lib/i18n";
import type { Dictionary } from "../lib/i18n";
import { Nothing } from "./Result";
import { Time } from "./Time";

interface Props {
  readonly events: readonly EventPartsFragment[];
  readonly empty: string;
  /** The page is about an account or a device already, so its column says nothing. */
  readonly without?: "account" | "device";
}

const payloadOf = (event: EventPartsFragment) => (typeof event.payload === "object" && event.payload !== null ? event.payload as Record<string, unknown> : {});

/** The payload without what has a column of its own. */
function details(event: EventPartsFragment) {
  return formatJSON(Object.fromEntries(Object.entries(payloadOf(event)).filter(([key]) => !["code", "account", "device"].includes(key))));
}

function actor(event: EventPartsFragment, words: Dictionary) {
  const by = event.causedBy;
  const name = actorName(by, words);
  return by && "deviceId" in by ? <Link href={`/devices/${by.deviceId}`}>{name}</Link> : name;
}

/** Events as rows, each of which opens to its whole payload. */
export function EventTable({ events, empty, without }: Props) {
  const words = useWords();
  const t = words.events;
  return (
    <Table<EventPartsFragment>
      size="small"
      rowKey="cursor"
      dataSource={events}
      pagination={false}
      scroll={{ x: "max-content" }}
      locale={{ emptyText: <Nothing text={empty} /> }}
      expandable={{ expandedRowRender: (e) => <pre className="json mono">{JSON.stringify(e.payload, null, 2)}</pre> }}
      columns={[
        { title: t.time, key: "at", width: 160, render: (_, e) => <Time at={e.occurredAt} /> },
        { title: t.type, key: "type", width: 150, render: (_, e) => <Tag variant="filled">{words.eventType[e.type]}</Tag> },
        { title: t.what, key: "code", width: 200, render: (_, e) => <Code code={String(payloadOf(e)["code"] ?? "")} /> },
        ...(without === "account" ? [] : [{
          title: t.account, key: "account", render: (_: unknown, e: EventPartsFragment) => e.accountId && <Link href={`/accounts/${e.accountId}`}>{e.accountExternalId ?? e.accountId}</Link>,
        }]),
        ...(without === "device" ? [] : [{
          title: t.device, key: "device", render: (_: unknown, e: EventPartsFragment) => e.deviceId && <Link href={`/devices/${e.deviceId}`}>{t.device}</Link>,
        }]),
        { title: t.by, key: "by", render: (_, e) => actor(e, words) },
        { title: t.details, key: "details", render: (_, e) => <div className="mono quiet clip" title={details(e)}>{details(e)}</div> },
      ]}
    />
  );
}

/** What happened in words, where there are any, and by the name that the documents give it. */
function Code({ code }: { readonly code: string }) {
  const said = say(useWords().eventCode, code);
  return said === code ? <span className="mono">{code}</span> : <span className="line">{said} <span className="mono quiet">{code}</span></span>;
}
