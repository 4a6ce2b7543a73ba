import { stringifyDocument } from "@urql/core";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { createClient } from "graphql-ws";
import type { Client } from "graphql-ws";
import { EventStreamDocument } from "./documents";
import type { EventFilter, EventPartsFragment, EventStreamSubscription, EventStreamSubscriptionVariables } from "./documents";
import { accessToken, needsRefresh, refresh } from "./session";

// Live events: one socket for all pages, and for each follower a stream that goes on after its last cursor whenever it was cut.

export type LiveState = "connecting" | "live" | "lost";

export interface Follower {
  onEvent(event: EventPartsFragment): void;
  onState(state: LiveState): void;
  /** Events between the last one seen and the log's horizon are no longer kept. */
  onGap(): void;
}

interface Sink {
  connected(): void;
  event(event: EventPartsFragment): void;
  /** The stream is over; why is an array of GraphQL errors, or whatever broke. */
  end(why?: unknown): void;
}

/** Opens one stream and returns what ends it. */
export type Open = (variables: EventStreamSubscriptionVariables, sink: Sink) => () => void;

const firstWait = 500;
const longestWait = 30_000;

/** Follows the log after a cursor until the returned function is called. */
export function follow(after: string, filter: EventFilter, follower: Follower, open: Open = overSocket): () => void {
  let cursor = after;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let close = () => {};
  let over = false;

  const connect = () => {
    if (over) return;
    follower.onState("connecting");
    close = open({ after: cursor, filter }, {
      connected: () => !over && follower.onState("live"),
      event: (event) => {
        if (over) return;
        failures = 0;
        cursor = event.cursor;
        follower.onState("live");
        follower.onEvent(event);
      },
      end: (why) => {
        if (over) return;
        const refusal = refusalOf(why);
        if (refusal?.code === "CURSOR_EXPIRED" && refusal.horizon !== undefined && refusal.horizon !== cursor) {
          cursor = refusal.horizon;
          follower.onGap();
          connect();
          return;
        }
        follower.onState("lost");
        if (refusal?.code === "FORBIDDEN") return;
        timer = setTimeout(connect, waitAfter(failures++));
      },
    });
  };
  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    close();
  };
}

/** Doubles from half a second to half a minute; the random part keeps a thousand browsers from coming back at once. */
function waitAfter(failures: number): number {
  return Math.min(firstWait * 2 ** failures, longestWait) * (0.5 + Math.random() / 2);
}

function refusalOf(why: unknown): { code: unknown; horizon: string | undefined } | undefined {
  const first: unknown = Array.isArray(why) ? why[0] : undefined;
  if (typeof first !== "object" || first === null || !("extensions" in first)) return undefined;
  const extensions = first.extensions as Record<string, unknown> | undefined;
  const horizon = extensions?.["horizon"];
  return { code: extensions?.["code"], horizon: typeof horizon === "string" ? horizon : undefined };
}

let socket: Client | undefined;
let connected = false;
const waiting = new Set<() => void>();

function client(): Client {
  socket ??= createClient({
    url: `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/graphql`,
    lazy: true,
    lazyCloseTimeout: 3_000, // a change of page keeps the socket
    retryAttempts: 0, // a follower opens its stream again itself, after its last cursor
    keepAlive: 20_000,
    connectionParams: async () => {
      if (needsRefresh()) await refresh();
      return { authorization: `Bearer ${accessToken() ?? ""}` };
    },
    on: {
      connected: () => {
        connected = true;
        for (const tell of waiting) tell();
        waiting.clear();
      },
      closed: () => (connected = false),
    },
  });
  return socket;
}

function overSocket(variables: EventStreamSubscriptionVariables, sink: Sink): () => void {
  const tell = () => sink.connected();
  if (connected) queueMicrotask(tell);
  else waiting.add(tell);
  const end = (why?: unknown) => {
    waiting.delete(tell);
    sink.end(why);
  };
  const unsubscribe = client().subscribe<EventStreamSubscription>(
    { query: stringifyDocument(EventStreamDocument), operationName: "EventStream", variables: { ...variables } },
    {
      next: (result) => {
        if (result.data) sink.event(result.data.eventStream);
        else end(result.errors);
      },
      error: end,
      complete: () => end(),
    },
  );
  return () => {
    waiting.delete(tell);
    unsubscribe();
  };
}

/** Runs a subscription that begins with how things stand until the returned function is called; one that was cut begins anew. */
export function watch<Data, Variables extends Record<string, unknown>>(document: TypedDocumentNode<Data, Variables>, variables: Variables, onData: (data: Data) => void): () => void {
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop = () => {};
  let over = false;
  const connect = () => {
    const again = (why?: unknown) => {
      const code = refusalOf(why)?.code;
      if (!over && code !== "FORBIDDEN" && code !== "NOT_FOUND") timer = setTimeout(connect, waitAfter(failures++));
    };
    stop = client().subscribe<Data>({ query: stringifyDocument(document), variables }, {
      next: ({ data, errors }) => {
        if (!data) return again(errors);
        failures = 0;
        if (!over) onData(data);
      },
      error: again,
      complete: () => again(),
    });
  };
  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    stop();
  };
}

/** Ends every stream, with the session that they belong to. */
export function closeLive() {
  void socket?.dispose();
  socket = undefined;
  connected = false;
}
