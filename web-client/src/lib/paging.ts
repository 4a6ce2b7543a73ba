import { useState } from "react";
import { useSearchParams } from "wouter";

export const pageSizes = [20, 50, 100] as const;

export interface PageParts {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

export type Window =
  | { readonly first: number; readonly after?: string }
  | { readonly last: number; readonly before: string };

/** The page that an address asks for. */
export function windowOf(params: URLSearchParams): Window {
  const asked = Number(params.get("size"));
  const size = pageSizes.find((n) => n === asked) ?? pageSizes[0];
  const after = params.get("after");
  const before = params.get("before");
  if (before) return { last: size, before };
  return after ? { first: size, after } : { first: size };
}

/** A list whose filter, order and page are in the address, so that links and the back button work. */
export function useListAddress() {
  const [params, setParams] = useSearchParams();
  return {
    params,
    window: windowOf(params),
    one: <T extends string>(name: string, allowed: readonly T[]): T | undefined => allowed.find((value) => value === params.get(name)),
    many: <T extends string>(name: string, allowed: readonly T[]): T[] => allowed.filter((value) => params.getAll(name).includes(value)),
    /** Changes the filter, which starts at the first page again. */
    change(values: Record<string, string | readonly string[] | undefined>) {
      setParams((before) => changed(before, values));
    },
    turn(cursor: { after: string } | { before: string }) {
      setParams((before) => {
        const next = new URLSearchParams(before);
        next.delete("after");
        next.delete("before");
        for (const [name, value] of Object.entries(cursor)) next.set(name, value);
        return next;
      });
    },
  };
}

/** The pages of a list within a page, which can be read forwards only. */
export function useTurns() {
  /** The cursors of the pages before this one. */
  const [behind, setBehind] = useState<readonly string[]>([]);
  return {
    after: behind.at(-1),
    start: () => setBehind([]),
    back: () => setBehind(behind.slice(0, -1)),
    on: (cursor: string) => setBehind([...behind, cursor]),
  };
}

/** The address after a change of some of its values; what is empty leaves it. */
export function changed(before: URLSearchParams, values: Record<string, string | readonly string[] | undefined>): URLSearchParams {
  const next = new URLSearchParams(before);
  next.delete("after");
  next.delete("before");
  for (const [name, value] of Object.entries(values)) {
    next.delete(name);
    for (const one of typeof value === "string" ? [value] : value ?? []) if (one !== "") next.append(name, one);
  }
  return next;
}
