import type {
  AccountActionInput, AccountPartsFragment, AccountState, Permission, ResetAccountPasswordInput, SuspendAccountInput, SuspendReason,
} from "../../lib/documents";

// What can be done with an account in its state, and by whom; the server decides, this only offers what it would not refuse.

export type Action = "activate" | "modify" | "resetPassword" | "unlock" | "endLogins" | "suspend" | "resume" | "terminate";
/** Those that a dialogue asks for. */
export type Asked = Exclude<Action, "modify">;

const needs: Record<Action, Permission> = {
  activate: "ACCOUNT_WRITE", modify: "ACCOUNT_WRITE", resetPassword: "ACCOUNT_CARE", unlock: "ACCOUNT_CARE", endLogins: "ACCOUNT_CARE",
  suspend: "ACCOUNT_WRITE", resume: "ACCOUNT_WRITE", terminate: "ACCOUNT_WRITE",
};

const allowed: Record<AccountState, readonly Action[]> = {
  PENDING: ["activate", "unlock", "terminate", "modify"],
  ACTIVE: ["resetPassword", "unlock", "endLogins", "suspend", "terminate", "modify"],
  SUSPENDED: ["resetPassword", "unlock", "endLogins", "resume", "suspend", "terminate", "modify"],
  TERMINATED: [],
};

export const actionsFor = (state: AccountState, may: (permission: Permission) => boolean): readonly Action[] => allowed[state].filter((a) => may(needs[a]));

/** The actions by the names of their mutations. */
const mutations: Readonly<Record<string, Action | undefined>> = {
  activateAccount: "activate", modifyAccount: "modify", resetAccountPassword: "resetPassword", unlockAccount: "unlock", endLogins: "endLogins",
  suspendAccount: "suspend", resumeAccount: "resume", terminateAccount: "terminate",
};

/** Those of the suggested mutations that are an action here and possible now. */
export const suggested = (names: readonly string[], possible: readonly Action[]): readonly Action[] =>
  names.flatMap((name) => mutations[name] ?? []).filter((action) => possible.includes(action));

const reasons: readonly SuspendReason[] = ["CUSTOMER_REQUEST", "NON_PAYMENT", "FRAUD", "REGULATORY", "MAINTENANCE"];

/** The reasons that are not in force yet. */
export const reasonsLeft = (account: AccountPartsFragment) => reasons.filter((reason) => !account.suspensions.some((s) => s.reason === reason));

/** Whether a person has typed which account it is: the external id, or the number if it was shown whole. */
export function names(account: AccountPartsFragment, typed: string): boolean {
  const text = typed.trim();
  return text !== "" && (text === account.externalId || (text === account.msisdn && !text.includes("*")));
}

export const everyReason = "ALL";

/** What the dialogue of an action holds. */
export interface ActionValues {
  readonly reason?: SuspendReason | typeof everyReason;
  readonly note?: string;
  readonly reauthenticate?: boolean;
  readonly typed?: string;
}

type Bare<T> = Omit<T, "idempotencyKey">;

/** The version is that of the account as it was shown: nobody closes what has changed before their eyes. */
export function actionInput(account: AccountPartsFragment, { note = "" }: ActionValues): Bare<AccountActionInput> {
  return { account: { id: account.id }, expectedVersion: account.version, ...(note.trim() === "" ? {} : { note: note.trim() }) };
}

/** The reason is REQUIRED by the form. */
export function suspendInput(account: AccountPartsFragment, values: ActionValues): Bare<SuspendAccountInput> {
  return { ...actionInput(account, values), reason: values.reason as SuspendReason };
}

export function resumeInput(account: AccountPartsFragment, values: ActionValues): Bare<AccountActionInput> {
  const { reason = everyReason } = values;
  return { ...actionInput(account, values), ...(reason === everyReason ? {} : { reason }) };
}

export function resetInput(account: AccountPartsFragment, { reauthenticate = true }: ActionValues): Bare<ResetAccountPasswordInput> {
  return { account: { id: account.id }, reauthenticate };
}
