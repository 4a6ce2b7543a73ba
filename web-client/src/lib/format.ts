// How values look in both languages: an operations console shows instants and numbers in one form only.

const clock = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** An instant in the time zone of the browser, such as 2026-11-23 13:52:23. */
export function formatTime(instant: string): string {
  const time = new Date(instant);
  return Number.isNaN(time.getTime()) ? instant : clock.format(time);
}

/** A length of time in days, and a clock for the rest of it, such as 03:25:45. */
export function daysAndClock(seconds: number): readonly [number, string] {
  const rest = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  return [Math.floor(seconds / 86_400), rest.map((n) => String(n).padStart(2, "0")).join(":")];
}

/** One line of a JSON value, without its braces. */
export function formatJSON(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, v]) => `${key}=${typeof v === "object" && v !== null ? JSON.stringify(v) : String(v)}`)
    .join("  ");
}

type Actor = { readonly username: string } | { readonly clientId: string } | { readonly component: string } | Record<never, never>;

/** Who did something; null for nobody. A device has no name, it is called a client. */
export function actorName(by: Actor | null, words: { readonly events: { readonly system: string; readonly client: string } }): string | null {
  if (by === null) return null;
  if ("username" in by) return by.username;
  if ("clientId" in by) return by.clientId;
  return "component" in by ? `${words.events.system} · ${by.component}` : words.events.client;
}

/** A rate in bits a second, with the unit that suits it. */
export function formatRate(bitsPerSecond: number): string {
  const [n, unit] = bitsPerSecond >= 1e6 ? [bitsPerSecond / 1e6, "Mbit/s"] : bitsPerSecond >= 1e3 ? [bitsPerSecond / 1e3, "kbit/s"] : [bitsPerSecond, "bit/s"];
  return `${Number(n.toFixed(2))} ${unit}`;
}
