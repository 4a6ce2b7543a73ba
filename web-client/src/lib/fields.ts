import type { CombinedError } from "@urql/core";
import type { RefusalFragment } from "./documents";
import type { Dictionary } from "./i18n";

// Where the refusals of a mutation belong: beside the field they are about, or above the form.

export interface Placed<Name extends string> {
  readonly fields: ReadonlyArray<{ readonly name: Name; readonly errors: string[] }>;
  readonly rest: readonly RefusalFragment[];
}

/** Places refusals by the input field that their path names, ["input","msisdn"] as well as ["input","paths","0"]. */
export function place<Name extends string>(refusals: readonly RefusalFragment[], names: readonly Name[], words: Dictionary): Placed<Name> {
  const fields = new Map<Name, string[]>();
  const rest: RefusalFragment[] = [];
  for (const refusal of refusals) {
    const path = refusal.field?.[0] === "input" ? refusal.field.slice(1) : refusal.field ?? [];
    const name = names.find((n) => n === path[0]);
    if (name === undefined) rest.push(refusal);
    else fields.set(name, [...(fields.get(name) ?? []), sentence(refusal, words)]);
  }
  return { fields: [...fields].map(([name, errors]) => ({ name, errors })), rest };
}

/** An error about one field of the input, which the server refuses before anything runs, is as good as a refusal of that field. */
export function refusalsIn(error: CombinedError | undefined): readonly RefusalFragment[] {
  return (error?.graphQLErrors ?? []).flatMap(({ message, extensions }) => {
    const field: unknown = extensions["field"];
    if (extensions["code"] !== "BAD_USER_INPUT" || !Array.isArray(field)) return [];
    return [{ code: "INVALID" as const, message, field: field.map(String), retryAfterSeconds: null }];
  });
}

/** A refusal in the words of the reader, with what the server says about it. */
export const sentence = (refusal: RefusalFragment, words: Dictionary) => `${words.userErrors[refusal.code]}: ${refusal.message}`;

/** The fields of values that differ from what they were; a text that was emptied is null. */
export function differences<T extends object>(before: T, now: T): Partial<{ [K in keyof T]: T[K] | null }> {
  const changes: Partial<{ [K in keyof T]: T[K] | null }> = {};
  for (const key of Object.keys(now) as Array<keyof T>) {
    if (JSON.stringify(before[key] ?? "") === JSON.stringify(now[key] ?? "")) continue;
    changes[key] = now[key] === "" || now[key] === undefined ? null : now[key];
  }
  return changes;
}

/** The lines of a text without blanks around them and without empty ones. */
export const lines = (text: string | undefined) => (text ?? "").split("\n").map((line) => line.trim()).filter((line) => line !== "");
