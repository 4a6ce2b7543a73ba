import { Client, cacheExchange, fetchExchange } from "urql";
import type { CombinedError } from "urql";
import { authExchange } from "@urql/exchange-auth";
import { overPost } from "./http";
import { accessToken, needsRefresh, refresh } from "./session";

export const isUnauthenticated = (error: CombinedError) => codesOf(error).includes("UNAUTHENTICATED");

/** The codes that the server gave its errors. */
export function codesOf(error: CombinedError): readonly string[] {
  return error.graphQLErrors.map((e) => String(e.extensions["code"] ?? ""));
}

/** A client for one signed-in person: its cache must not outlive the session. */
export function newClient(): Client {
  return new Client({
    ...overPost,
    requestPolicy: "cache-and-network",
    exchanges: [
      cacheExchange,
      authExchange(async (utilities) => ({
        addAuthToOperation: (operation) => {
          const token = accessToken();
          return token ? utilities.appendHeaders(operation, { Authorization: `Bearer ${token}` }) : operation;
        },
        willAuthError: needsRefresh,
        didAuthError: isUnauthenticated,
        refreshAuth: async () => void (await refresh()),
      })),
      fetchExchange,
    ],
  });
}
