import { Tag } from "antd";
import type { LiveState } from "../lib/live";
import { useWords } from "../lib/i18n";
import type { Dictionary } from "../lib/i18n";

type Kind = {
  [K in keyof Dictionary]: Dictionary[K] extends Record<Uppercase<string>, string> ? K : never;
}[keyof Dictionary] & ("accountState" | "passwordState" | "bindingState" | "reachability" | "configurationState" | "taskState" | "smsState" | "healthLevel" | "auditOutcome");

const good = new Set(["ACTIVE", "ONLINE", "APPLIED", "SUCCEEDED", "DELIVERED", "GOOD", "SUCCESS"]);
const warn = new Set(["STALE", "SUSPENDED", "PENDING", "QUEUED", "SENT", "ACKNOWLEDGED", "COMMITTED", "SUBMITTED", "ONE_TIME", "EXPIRED", "DEGRADED", "DISCLOSED"]);
const bad = new Set(["FAILED", "LOCKED", "UNDELIVERABLE", "REJECTED", "TERMINATED", "BROKEN", "DENIED"]);

const colour = (value: string) => (good.has(value) ? "success" : bad.has(value) ? "error" : warn.has(value) ? "warning" : "default");

/** The state of a noun in words and colour. */
export function State<K extends Kind>({ of, value }: { readonly of: K; readonly value: keyof Dictionary[K] & string }) {
  const words = useWords();
  return <Tag color={colour(value)} variant="filled">{String(words[of][value])}</Tag>;
}

/** How a list keeps up with what happens. */
export function Live({ state }: { readonly state: LiveState }) {
  const words = useWords();
  return (
    <span className="live" role="status" data-live={state}>
      <span className={`dot ${state === "live" ? "good" : state === "lost" ? "bad" : "warn"}`} />
      {words.devices.live[state]}
    </span>
  );
}
