import { formatTime } from "../lib/format";

export function Time({ at }: { readonly at: string | null | undefined }) {
  return at ? <time className="number" dateTime={at} title={at}>{formatTime(at)}</time> : <span className="quiet">–</span>;
}
