import { Alert, Button } from "antd";
import type { CombinedError } from "urql";
import { useWords } from "../lib/i18n";
import type { Dictionary } from "../lib/i18n";
import { codesOf } from "../lib/client";

/** What went wrong in the words of the reader; the server's own sentence is added where it says more. */
export function describe(words: Dictionary, error: CombinedError): string {
  if (error.networkError) return words.errors.network;
  const code = codesOf(error)[0] ?? "";
  const known = words.errors.codes[code];
  const sentence = error.graphQLErrors[0]?.message ?? "";
  if (known === undefined) return sentence || words.errors.title;
  return code === "BAD_USER_INPUT" && sentence ? `${known} (${sentence})` : known;
}

/** An error of a query, with its request id for the log, and a way to try again. */
export function Failure({ error, retry }: { readonly error: CombinedError; readonly retry?: () => void }) {
  const words = useWords();
  const id = error.graphQLErrors[0]?.extensions["requestId"];
  return (
    <Alert
      type="error"
      showIcon
      title={describe(words, error)}
      description={typeof id === "string" && id !== "" ? <span className="mono">{words.errors.request(id)}</span> : undefined}
      action={retry && <Button size="small" onClick={retry}>{words.retry}</Button>}
    />
  );
}
