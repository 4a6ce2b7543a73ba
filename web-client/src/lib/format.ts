// How values look in both languages: an operations console shows instants and numbers in one form only.

const clock = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** An instant in the time zone of the browser, such as 2026-11-23 13:52:23. */
export function formatTime(instant: string): string {
  const time = new Date(instant);
  return Number.isNaN(time.getTime()) ? instant : clock.format(time);
}

/** One line of a JSON value, without its braces. */
export function formatJSON(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, v]) => `${key}=${typeof v === "object" && v !== null ? JSON.stringify(v) : String(v)}`)
    .join("  ");
}

type Actor = { readonly username: string } | { readonly clientId: string } | { readonly component: string } | Record<never, never>;

/** Who did something; a device has no name. */
export function actorName(by: Actor | null): string | null {
  if (by === null) return null;
  if ("username" in by) return by.username;
  if ("clientId" in by) return by.clientId;
  return "component" in by ? by.component : null;
}
