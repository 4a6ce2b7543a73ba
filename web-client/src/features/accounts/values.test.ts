import { expect, test } from "vitest";
import type { AccountPartsFragment } from "../../lib/documents";
import { modifyInput, provisionInput, valuesOf } from "./values";

const account: AccountPartsFragment = {
  id: "A", version: 7, createdAt: "", updatedAt: "", externalId: "s-1", state: "ACTIVE", stateReason: null, stateChangedAt: "", suspensions: [], terminatedAt: null, msisdn: "+8621****0001",
  impi: "a@ims.example.net", impu: ["sip:a@ims.example.net", "tel:+862160000001"], displayName: "王**", region: "pudong", sipSecretSource: "BSS",
  boundMobile: "+86138****0001", imsi: null, broadbandAccount: null, screenSerial: null, clientTypes: ["PC"], passwordState: "SET", lockedUntil: null, reauthRequired: false,
  services: [{ code: "VOICE", enabled: true, parameters: { "voice.dtmfMethod": "RFC2833" } }, { code: "VIDEO", enabled: false, parameters: null }], maxDevices: 4,
};

test("nothing is sent when nothing was changed, masked values included", () => {
  expect(modifyInput(account, valuesOf(account))).toBeUndefined();
});

test("only what was changed is sent, on the version it was changed on", () => {
  expect(modifyInput(account, { ...valuesOf(account), region: "minhang" })).toEqual({ account: { id: "A" }, expectedVersion: 7, region: "minhang" });
});

test("an emptied field is cleared", () => {
  expect(modifyInput(account, { ...valuesOf(account), region: "", boundMobile: "" })).toMatchObject({ region: null, boundMobile: null });
});

test("a change of services sends the whole list and keeps their parameters", () => {
  expect(modifyInput(account, { ...valuesOf(account), services: ["VIDEO", "CALL_WAITING"] })?.services).toEqual([
    { code: "VOICE", enabled: false, parameters: { "voice.dtmfMethod": "RFC2833" } },
    { code: "VIDEO", enabled: true },
    { code: "CALL_WAITING", enabled: true },
  ]);
});

test("identities are lines", () => {
  expect(modifyInput(account, { ...valuesOf(account), impu: " sip:b@ims.example.net \n\n" })?.impu).toEqual(["sip:b@ims.example.net"]);
});

test("a new account leaves out what the server derives", () => {
  expect(provisionInput({ externalId: "s-2", msisdn: "+862160000002", displayName: "", impu: "", clientTypes: ["PC"], services: ["VOICE"], maxDevices: null, activate: false })).toEqual({
    externalId: "s-2", msisdn: "+862160000002", clientTypes: ["PC"], activate: false, services: [{ code: "VOICE", enabled: true }],
  });
});
