import { Client, fetchExchange } from "@urql/core";
import type { AnyVariables, TypedDocumentNode } from "@urql/core";
import { RefreshSessionDocument, SignInDocument, SignOutDocument } from "./documents";
import { overPost } from "./http";
import type { Permission, RefusalFragment, ViewerPartsFragment } from "./documents";

// Who is signed in. The access token lives in this module only; the refresh token is an HttpOnly cookie that no script sees.

export type Session =
  | { readonly status: "starting" }
  | { readonly status: "signedOut"; readonly ended: boolean }
  | { readonly status: "signedIn"; readonly name: string; readonly permissions: ReadonlySet<Permission> };

/** Remembers that a cookie may be there, so that a first visit asks for nothing; its removal signs other tabs out. */
const hint = "softacs.session";
const lockName = "softacs.refresh";
/** A token is renewed this long before it expires. */
const margin = 60_000;
const retryAfter = 10_000;

let session: Session = { status: "starting" };
let token: string | undefined;
let expiresAt = 0;
let renewal: ReturnType<typeof setTimeout> | undefined;
let refreshing: Promise<boolean> | undefined;
const listeners = new Set<() => void>();

const bare = new Client({ ...overPost, exchanges: [fetchExchange] });

function mutate<Data, Variables extends AnyVariables>(document: TypedDocumentNode<Data, Variables>, variables: Variables) {
  return bare.mutation(document, variables).toPromise();
}

function become(next: Session) {
  session = next;
  for (const listener of listeners) listener();
}

export const current = () => session;

export function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export const accessToken = () => token;

/** The token is missing or about to expire. */
export const needsRefresh = () => token === undefined || Date.now() > expiresAt - margin / 2;

type Granted = { readonly accessToken: string | null; readonly expiresAt: string | null; readonly viewer: ViewerPartsFragment | null };

function accept(granted: Granted): boolean {
  const { viewer } = granted;
  if (!granted.accessToken || !granted.expiresAt || !viewer) return false;
  token = granted.accessToken;
  expiresAt = Date.parse(granted.expiresAt);
  localStorage.setItem(hint, "1");
  schedule(expiresAt - Date.now() - margin);
  const name = "username" in viewer.actor ? viewer.actor.username : "clientId" in viewer.actor ? viewer.actor.clientId : "";
  // Renewing changes nothing that anybody sees, unless rights have changed.
  const same = session.status === "signedIn" && session.name === name && [...session.permissions].join() === viewer.permissions.join();
  if (!same) become({ status: "signedIn", name, permissions: new Set(viewer.permissions) });
  return true;
}

function forget(ended: boolean) {
  token = undefined;
  expiresAt = 0;
  clearTimeout(renewal);
  localStorage.removeItem(hint);
  become({ status: "signedOut", ended });
}

function schedule(milliseconds: number) {
  clearTimeout(renewal);
  renewal = setTimeout(() => void refresh(), Math.max(milliseconds, 1_000));
}

/** Begins with the session of an earlier page, if there is one. */
export async function start() {
  window.addEventListener("storage", (event) => {
    if (event.key === hint && event.newValue === null && session.status === "signedIn") forget(false);
  });
  if (localStorage.getItem(hint) === null) {
    become({ status: "signedOut", ended: false });
    return;
  }
  await refresh();
}

/** Renews the access token; false when it did not. One at a time, in all tabs: a refresh token that is used twice ends the session. */
export function refresh(): Promise<boolean> {
  refreshing ??= exclusive(renew).finally(() => (refreshing = undefined));
  return refreshing;
}

function exclusive<T>(work: () => Promise<T>): Promise<T> {
  // There are no locks on a plain HTTP page that is not of this machine.
  return "locks" in navigator ? navigator.locks.request(lockName, work) : work();
}

async function renew(): Promise<boolean> {
  const answer = await mutate(RefreshSessionDocument, {});
  if (answer.data && accept(answer.data.refreshSession)) return true;
  if (answer.error?.networkError) {
    schedule(retryAfter);
    if (session.status === "starting") become({ status: "signedOut", ended: false });
    return false;
  }
  forget(session.status === "signedIn");
  return false;
}

/** Signs in; the answer says why not, and is empty on success. Throws when the server was not reached. */
export async function signIn(username: string, password: string): Promise<readonly RefusalFragment[]> {
  const answer = await mutate(SignInDocument, { username, password });
  if (answer.error) throw answer.error;
  const payload = answer.data?.signIn;
  if (payload && !accept(payload) && payload.userErrors.length === 0) throw new Error("the answer holds no token");
  return payload?.userErrors ?? [];
}

export async function signOut() {
  await exclusive(() => mutate(SignOutDocument, {}));
  forget(false);
}
