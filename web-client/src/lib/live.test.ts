import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { EventPartsFragment } from "./documents";
import { follow } from "./live";
import type { LiveState, Open } from "./live";

vi.mock("./session", () => ({ accessToken: () => "token", needsRefresh: () => false, refresh: () => Promise.resolve(true) }));

type Stream = { after: string | null | undefined; sink: Parameters<Open>[1]; closed: boolean };

/** A follower on streams that the test holds in its hands. */
function setup() {
  const streams: Stream[] = [];
  const seen: string[] = [];
  const states: LiveState[] = [];
  let gaps = 0;
  const stop = follow("c0", { types: ["ACCOUNT_CREATED"] }, {
    onEvent: (event) => seen.push(event.cursor),
    onState: (state) => states.push(state),
    onGap: () => gaps++,
  }, (variables, sink) => {
    const stream: Stream = { after: variables.after, sink, closed: false };
    streams.push(stream);
    return () => (stream.closed = true);
  });
  return { streams, seen, states, stop, gaps: () => gaps, last: () => streams.at(-1) as Stream };
}

const event = (cursor: string) => ({ cursor }) as EventPartsFragment;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a stream that was cut goes on after the last event seen", () => {
  const f = setup();
  f.last().sink.connected();
  f.last().sink.event(event("c1"));
  f.last().sink.event(event("c2"));
  f.last().sink.end({ code: 4403, reason: "the token expired" });
  expect(f.states.at(-1)).toBe("lost");
  vi.runOnlyPendingTimers();
  expect(f.streams.map((s) => s.after)).toEqual(["c0", "c2"]);
  f.last().sink.event(event("c3"));
  expect(f.seen).toEqual(["c1", "c2", "c3"]);
  expect(f.states.at(-1)).toBe("live");
});

test("a server that completes is asked again, ever more slowly", () => {
  const f = setup();
  const waits: number[] = [];
  for (let n = 0; n < 10; n++) {
    f.last().sink.end();
    const began = Date.now();
    vi.runOnlyPendingTimers();
    waits.push(Date.now() - began);
  }
  expect(f.streams).toHaveLength(11);
  expect(waits[0]).toBeLessThanOrEqual(500);
  expect(waits[9]).toBeGreaterThanOrEqual(15_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
});

test("events that are no longer kept are reported once and the stream goes on at the horizon", () => {
  const f = setup();
  f.last().sink.end([{ message: "expired", extensions: { code: "CURSOR_EXPIRED", horizon: "c7" } }]);
  expect(f.gaps()).toBe(1);
  expect(f.last().after).toBe("c7");
  f.last().sink.end([{ message: "expired", extensions: { code: "CURSOR_EXPIRED", horizon: "c7" } }]);
  expect(f.gaps()).toBe(1);
  expect(f.states.at(-1)).toBe("lost");
});

test("what is forbidden is not asked for again", () => {
  const f = setup();
  f.last().sink.end([{ message: "no", extensions: { code: "FORBIDDEN" } }]);
  vi.runAllTimers();
  expect(f.streams).toHaveLength(1);
});

test("nothing comes after the follower has gone", () => {
  const f = setup();
  const { sink } = f.last();
  sink.end();
  f.stop();
  vi.runAllTimers();
  sink.event(event("c1"));
  expect(f.streams).toHaveLength(1);
  expect(f.seen).toEqual([]);
});
