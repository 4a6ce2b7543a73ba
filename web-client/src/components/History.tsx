import { Alert, Button } from "antd";
import { useEffect, useState } from "react";
import { useClient } from "urql";
import type { CombinedError } from "urql";
import { EventsDocument } from "../lib/documents";
import type { EventFilter, EventPartsFragment } from "../lib/documents";
import { useWords } from "../lib/i18n";
import { useLive } from "../lib/useLive";
import { EventTable } from "./EventTable";
import { Failure } from "./Failure";
import { Panel } from "./Page";
import { Live } from "./State";

const pageSize = 500;
/** The log is read forwards only; after so many pages the reader decides whether to go on. */
const pagesAtOnce = 4;

interface Props {
  readonly title: string;
  readonly filter: EventFilter;
  readonly without: "account" | "device";
  readonly onEvent: (event: EventPartsFragment) => void;
}

/** Everything that happened to one noun, newest first, and what happens from now on: the stream begins where the last page ends. */
export function History({ title, filter, without, onEvent }: Props) {
  const words = useWords();
  const client = useClient();
  const [events, setEvents] = useState<readonly EventPartsFragment[]>([]);
  const [from, setFrom] = useState("");
  const [read, setRead] = useState<{ readonly end: string; readonly more: boolean }>();
  const [error, setError] = useState<CombinedError>();
  const [gap, setGap] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const key = JSON.stringify(filter);

  useEffect(() => {
    let over = false;
    const load = async () => {
      setError(undefined);
      let after = from;
      for (let page = 0; page < pagesAtOnce; page++) {
        const answer = await client.query(EventsDocument, { filter: JSON.parse(key) as EventFilter, first: pageSize, after }, { requestPolicy: "network-only" }).toPromise();
        if (over) return;
        if (!answer.data) {
          setError(answer.error);
          return;
        }
        const { nodes, pageInfo } = answer.data.events;
        setEvents((before) => (after === "" ? [...nodes].reverse() : [...[...nodes].reverse(), ...before]));
        after = pageInfo.endCursor ?? after;
        if (!pageInfo.hasNextPage) {
          setRead({ end: after, more: false });
          return;
        }
      }
      setRead({ end: after, more: true });
    };
    void load();
    return () => {
      over = true;
    };
  }, [client, key, from, attempt]);

  const complete = read !== undefined && !read.more;
  const state = useLive({
    filter, after: read?.end, paused: !complete, onGap: () => setGap(true),
    onEvent: (event) => {
      setEvents((before) => [event, ...before]);
      onEvent(event);
    },
  });
  return (
    <Panel title={title} extra={complete && <Live state={state} />} flush>
      {error && <Failure error={error} retry={() => setAttempt(attempt + 1)} />}
      {gap && <Alert type="warning" showIcon title={words.events.gap} />}
      <EventTable events={events} empty={complete ? words.events.empty : words.loading} without={without} />
      {read?.more && <div className="pager"><Button size="small" onClick={() => setFrom(read.end)}>{words.events.later}</Button></div>}
    </Panel>
  );
}
