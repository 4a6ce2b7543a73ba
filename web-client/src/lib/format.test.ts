import { expect, test } from "vitest";
import { daysAndClock } from "./format";

test("a length of time is days and a clock", () => {
  expect(daysAndClock(0)).toEqual([0, "00:00:00"]);
  expect(daysAndClock(86_399)).toEqual([0, "23:59:59"]);
  expect(daysAndClock(2 * 86_400 + 3 * 3600 + 65)).toEqual([2, "03:01:05"]);
});
