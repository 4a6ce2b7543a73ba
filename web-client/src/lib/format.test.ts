import { expect, test } from "vitest";
import { actorName, daysAndClock } from "./format";

test("a length of time is days and a clock", () => {
  expect(daysAndClock(0)).toEqual([0, "00:00:00"]);
  expect(daysAndClock(86_399)).toEqual([0, "23:59:59"]);
  expect(daysAndClock(2 * 86_400 + 3 * 3600 + 65)).toEqual([2, "03:01:05"]);
});

test("whoever did something is named, a device by what it is", () => {
  const words = { events: { system: "System", client: "Client" } };
  expect([null, { username: "admin" }, { clientId: "bss" }, { component: "sms" }, {}].map((by) => actorName(by, words))).toEqual([null, "admin", "bss", "System · sms", "Client"]);
});
