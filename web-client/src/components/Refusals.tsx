import { Alert } from "antd";
import type { ReactNode } from "react";
import type { RefusalFragment } from "../lib/documents";
import { sentence } from "../lib/fields";
import { useWords } from "../lib/i18n";

/** Refusals that belong to no field of a form. */
export function Refusals({ list, action }: { readonly list: readonly RefusalFragment[]; readonly action?: ReactNode }) {
  const words = useWords();
  if (list.length === 0) return null;
  return <Alert type="error" showIcon style={{ marginBottom: 12 }} title={list.map((r) => sentence(r, words)).join("; ")} action={action} />;
}
