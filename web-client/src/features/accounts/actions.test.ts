import { expect, test } from "vitest";
import type { AccountPartsFragment, Permission } from "../../lib/documents";
import { actionInput, actionsFor, everyReason, names, reasonsLeft, resetInput, resumeInput, suggested, suspendInput } from "./actions";

const all = () => true;
const care = (permission: Permission) => permission === "ACCOUNT_CARE";

test("the state and the permissions of the person say what is offered", () => {
  expect(actionsFor("ACTIVE", care)).toEqual(["resetPassword", "unlock", "endLogins"]);
  expect(actionsFor("PENDING", all)).toEqual(["activate", "unlock", "terminate", "modify"]);
  expect(actionsFor("SUSPENDED", all)).toContain("resume");
  expect(actionsFor("ACTIVE", all)).not.toContain("resume");
  expect(actionsFor("TERMINATED", all)).toEqual([]);
  expect(actionsFor("ACTIVE", () => false)).toEqual([]);
});

test("a reason in force is not offered again", () => {
  const account = { suspensions: [{ reason: "FRAUD", since: "", note: null, by: null }] } as unknown as AccountPartsFragment;
  expect(reasonsLeft(account)).toEqual(["CUSTOMER_REQUEST", "NON_PAYMENT", "REGULATORY", "MAINTENANCE"]);
});

test("an account is named by its external id or its whole number, never by a mask", () => {
  const account = { externalId: "s-1", msisdn: "+862160000001" } as AccountPartsFragment;
  expect(["s-1", " s-1 ", "+862160000001"].map((typed) => names(account, typed))).toEqual([true, true, true]);
  expect(["", "s-2", "862160000001"].map((typed) => names(account, typed))).toEqual([false, false, false]);
  expect(names({ ...account, msisdn: "+8621****0001" }, "+8621****0001")).toBe(false);
});

test("an action goes to the version that was shown; blanks and every reason are left out", () => {
  const account = { id: "A", version: 7 } as AccountPartsFragment;
  const bare = { account: { id: "A" }, expectedVersion: 7 };
  expect(actionInput(account, { note: "  " })).toEqual(bare);
  expect(suspendInput(account, { reason: "FRAUD", note: " call 12 " })).toEqual({ ...bare, reason: "FRAUD", note: "call 12" });
  expect(resumeInput(account, { reason: everyReason })).toEqual(bare);
  expect(resumeInput(account, { reason: "FRAUD" })).toEqual({ ...bare, reason: "FRAUD" });
  expect(resetInput(account, { reauthenticate: false })).toEqual({ account: { id: "A" }, reauthenticate: false });
});

test("a suggestion is a button if it is an action here and possible now", () => {
  const possible = actionsFor("ACTIVE", care);
  expect(suggested(["unlockAccount", "resetAccountPassword", "modifyAccount", "createDeviceTask"], possible)).toEqual(["unlock", "resetPassword"]);
  expect(suggested([], possible)).toEqual([]);
});
