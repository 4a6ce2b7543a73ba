import type { AccountPartsFragment, ClientType, ModifyAccountInput, ProvisionAccountInput, ServiceFeatureInput } from "../../lib/documents";
import { differences, lines } from "../../lib/fields";

/** The services of the I4 profile; one that an account has beside these is kept as it is. */
export const serviceCodes = [
  "VOICE", "VIDEO", "CONFERENCE", "PRESENCE", "MESSAGE", "ADDRESS_BOOK", "CALL_WAITING", "CALLER_ID", "CALL_FORWARD",
] as const;

export const clientTypes: readonly ClientType[] = ["PC", "MOBILE", "MAGIC_SCREEN"];

/** What the form of an account holds; texts are empty rather than null, lists of lines are texts. */
export interface AccountValues {
  readonly externalId?: string;
  readonly msisdn?: string;
  readonly displayName?: string;
  readonly region?: string;
  readonly boundMobile?: string;
  readonly imsi?: string;
  readonly broadbandAccount?: string;
  readonly screenSerial?: string;
  readonly clientTypes?: readonly ClientType[];
  readonly services?: readonly string[];
  readonly maxDevices?: number | null;
  readonly impi?: string;
  readonly impu?: string;
  readonly sipPassword?: string;
  readonly initialPassword?: string;
  readonly activate?: boolean;
}

export const fieldNames = [
  "externalId", "msisdn", "displayName", "region", "boundMobile", "imsi", "broadbandAccount", "screenSerial", "clientTypes", "services", "maxDevices",
  "impi", "impu", "sipPassword", "initialPassword", "activate",
] as const satisfies ReadonlyArray<keyof AccountValues>;

export const newAccount: AccountValues = { clientTypes: ["PC"], services: ["VOICE"], maxDevices: 4, activate: true };

/** Left-out fields are left out: the server derives or defaults them. */
export function provisionInput(values: AccountValues): Omit<ProvisionAccountInput, "idempotencyKey"> {
  const { externalId = "", msisdn = "", services = [], impu, maxDevices, clientTypes = [], activate = true, ...texts } = values;
  const given = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== ""));
  return {
    externalId, msisdn, ...given, clientTypes, activate,
    ...(services.length > 0 ? { services: services.map((code) => ({ code, enabled: true })) } : {}),
    ...(typeof maxDevices === "number" ? { maxDevices } : {}),
    ...(lines(impu).length > 0 ? { impu: lines(impu) } : {}),
  };
}

export function valuesOf(account: AccountPartsFragment): AccountValues {
  return {
    displayName: account.displayName ?? "", region: account.region ?? "", boundMobile: account.boundMobile ?? "", imsi: account.imsi ?? "",
    broadbandAccount: account.broadbandAccount ?? "", screenSerial: account.screenSerial ?? "", clientTypes: account.clientTypes,
    services: account.services.filter((s) => s.enabled).map((s) => s.code).sort(), maxDevices: account.maxDevices,
    impi: account.impi, impu: account.impu.join("\n"), sipPassword: "",
  };
}

/** Only what the person changed is sent: masked values never are, and fields that somebody else changed stay. Undefined if nothing is to be sent. */
export function modifyInput(account: AccountPartsFragment, values: AccountValues): Omit<ModifyAccountInput, "idempotencyKey"> | undefined {
  const now = { ...values, services: [...values.services ?? []].sort() };
  const { services, impu, ...changes } = differences(valuesOf(account), now);
  const input = {
    ...changes,
    ...(services === undefined ? {} : { services: servicesOf(account, services ?? []) }),
    ...(impu === undefined ? {} : { impu: lines(impu ?? "") }),
  };
  if (Object.keys(input).length === 0) return undefined;
  return { account: { id: account.id }, expectedVersion: account.version, ...input };
}

/** The whole new list: what the account has keeps its parameters. */
function servicesOf(account: AccountPartsFragment, on: readonly string[]): ServiceFeatureInput[] {
  const kept = account.services.map(({ code, parameters }) => ({ code, enabled: on.includes(code), ...(parameters ? { parameters } : {}) }));
  const added = on.filter((code) => !account.services.some((s) => s.code === code)).map((code) => ({ code, enabled: true }));
  return [...kept, ...added];
}
