import { useEffect, useEffectEvent, useRef, useState } from "react";
import { useClient } from "urql";
import { EventHeadDocument } from "./documents";
import type { EventFilter, EventPartsFragment } from "./documents";
import { follow } from "./live";
import type { LiveState } from "./live";

interface Options {
  readonly filter: EventFilter;
  /** Where to begin; undefined begins at the newest event. */
  readonly after?: string | undefined;
  /** What is shown may be older than where the stream began: read it again. */
  readonly onStart?: () => void;
  readonly onEvent: (event: EventPartsFragment) => void;
  readonly onGap?: () => void;
  readonly paused?: boolean;
}

/** Follows live events while the component is there; returns the state of the stream. */
export function useLive({ filter, after, onStart, onEvent, onGap, paused = false }: Options): LiveState {
  const client = useClient();
  const [state, setState] = useState<LiveState>("connecting");
  /** Pausing and another filter go on after the last event seen. */
  const cursor = useRef<string>(undefined);
  const start = useEffectEvent(() => onStart?.());
  const event = useEffectEvent((e: EventPartsFragment) => {
    cursor.current = e.cursor;
    onEvent(e);
  });
  const gap = useEffectEvent(() => (onGap ?? onStart)?.());
  const key = JSON.stringify(filter);

  useEffect(() => {
    if (paused) return;
    let over = false;
    let stop = () => {};
    const begin = (from: string) => {
      cursor.current = from;
      stop = follow(from, JSON.parse(key) as EventFilter, { onEvent: (e) => event(e), onState: setState, onGap: () => gap() });
    };
    const known = cursor.current ?? after;
    if (known !== undefined) {
      begin(known);
    } else {
      void client.query(EventHeadDocument, {}, { requestPolicy: "network-only" }).toPromise().then((answer) => {
        if (over) return;
        if (answer.data) {
          begin(answer.data.eventHead);
          start();
        } else {
          setState("lost");
        }
      });
    }
    return () => {
      over = true;
      stop();
    };
  }, [client, key, after, paused]);
  return state;
}
