import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import type { Client, CombinedError } from "urql";
import {
  ActivateAccountDocument, EndLoginsDocument, ResetAccountPasswordDocument, ResumeAccountDocument, SuspendAccountDocument, TerminateAccountDocument, UnlockAccountDocument,
} from "../../lib/documents";
import type { AccountPartsFragment, RefusalFragment } from "../../lib/documents";
import { actionInput, resetInput, resumeInput, suspendInput } from "./actions";
import type { ActionValues, Asked } from "./actions";

/** What the server made of an action. */
export interface Done {
  readonly account: AccountPartsFragment | null;
  /** The message that an action sent. */
  readonly sms?: { readonly to: string } | null;
  readonly userErrors: readonly RefusalFragment[];
}

/** Has the server do an action; done is undefined if no answer to it came. */
export async function send(
  client: Client, action: Asked, account: AccountPartsFragment, values: ActionValues, keyFor: (input: unknown) => string,
): Promise<{ readonly error: CombinedError | undefined; readonly done: Done | undefined }> {
  const run = async <D extends object, I extends object>(
    document: TypedDocumentNode<D, { input: I & { readonly idempotencyKey: string } }>, input: I, payload: (data: D) => Done,
  ) => {
    const { data, error } = await client.mutation(document, { input: { ...input, idempotencyKey: keyFor(input) } }).toPromise();
    return { error, done: data ? payload(data) : undefined };
  };
  switch (action) {
    case "activate":
      return run(ActivateAccountDocument, actionInput(account, values), (d) => d.activateAccount);
    case "suspend":
      return run(SuspendAccountDocument, suspendInput(account, values), (d) => d.suspendAccount);
    case "resume":
      return run(ResumeAccountDocument, resumeInput(account, values), (d) => d.resumeAccount);
    case "terminate":
      return run(TerminateAccountDocument, actionInput(account, values), (d) => d.terminateAccount);
    case "unlock":
      return run(UnlockAccountDocument, actionInput(account, values), (d) => d.unlockAccount);
    case "endLogins":
      return run(EndLoginsDocument, actionInput(account, values), (d) => d.endLogins);
    case "resetPassword":
      return run(ResetAccountPasswordDocument, resetInput(account, values), (d) => d.resetAccountPassword);
  }
}
