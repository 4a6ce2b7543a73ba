import { expect, test } from "vitest";
import { place } from "./fields";
import { en } from "./i18n/en";

test("a refusal stands beside the field that its path names, any other above the form", () => {
  const refusal = (field: string[] | null, message: string) => ({ code: "INVALID" as const, message, field, retryAfterSeconds: null });
  const placed = place([
    refusal(["input", "msisdn"], "a"), refusal(["input", "paths", "0"], "b"), refusal(["input", "paths", "3"], "c"), refusal(["input", "account"], "d"), refusal(null, "e"),
  ], ["msisdn", "paths"], en);
  expect(placed.fields).toEqual([
    { name: "msisdn", errors: ["Not a valid value: a"] },
    { name: "paths", errors: ["Not a valid value: b", "Not a valid value: c"] },
  ]);
  expect(placed.rest.map((r) => r.message)).toEqual(["d", "e"]);
});
