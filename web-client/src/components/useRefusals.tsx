import { Alert } from "antd";
import type { FormInstance } from "antd";
import { useState } from "react";
import type { ReactNode } from "react";
import type { CombinedError } from "urql";
import type { RefusalFragment } from "../lib/documents";
import { place, refusalsIn, sentence } from "../lib/fields";
import { useWords } from "../lib/i18n";
import { Failure } from "./Failure";

interface Answer {
  readonly error?: CombinedError | undefined;
  readonly refusals: readonly RefusalFragment[] | undefined;
}

/** Puts what the server refuses beside the fields of a form; the rest stands above it. */
export function useRefusals<Values, Name extends keyof Values & string>(form: FormInstance<Values>, names: readonly Name[]) {
  const words = useWords();
  const [rest, setRest] = useState<readonly RefusalFragment[]>([]);
  const [error, setError] = useState<CombinedError>();
  return {
    clear() {
      setRest([]);
      setError(undefined);
    },
    /** Shows an answer and tells whether the server has done what it was asked. */
    show(answer: Answer): boolean {
      const refusals = answer.refusals ?? refusalsIn(answer.error);
      const placed = place(refusals, names, words);
      form.setFields(placed.fields.map((f) => ({ ...f, name: f.name as never })));
      setRest(placed.rest);
      setError(refusals.length > 0 ? undefined : answer.error);
      return refusals.length === 0 && !answer.error;
    },
    view: (): ReactNode => (
      <>
        {error && <Failure error={error} />}
        {rest.length > 0 && <Alert type="error" showIcon style={{ marginBottom: 12 }} title={rest.map((r) => sentence(r, words)).join("; ")} />}
      </>
    ),
  };
}
