import { EditOutlined } from "@ant-design/icons";
import { Button, Space } from "antd";
import { useState } from "react";
import type { AccountPartsFragment } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useMay } from "../../lib/rights";
import { AccountAction } from "./AccountAction";
import { AccountModify } from "./AccountModify";
import { actionsFor } from "./actions";
import type { Asked } from "./actions";

interface Props {
  readonly account: AccountPartsFragment;
  /** What is shown of the account may be older than what the server refused by. */
  readonly onRefused: () => void;
}

/** What the person may do with the account now. */
export function AccountActions({ account, onRefused }: Props) {
  const words = useWords();
  const may = useMay();
  const [modifying, setModifying] = useState(false);
  const [asked, setAsked] = useState<Asked>();
  return (
    <>
      <Space wrap>
        {actionsFor(account.state, may).map((action) => (action === "modify" ? (
          <Button key={action} type="primary" icon={<EditOutlined aria-hidden />} onClick={() => setModifying(true)}>{words.accounts.modify}</Button>
        ) : (
          <Button key={action} danger={action === "terminate"} onClick={() => setAsked(action)}>
            {action === "suspend" && account.state === "SUSPENDED" ? words.accounts.addReason : words.accountAction[action].name}
          </Button>
        )))}
      </Space>
      <AccountModify account={account} open={modifying} onClose={() => setModifying(false)} />
      {asked && <AccountAction action={asked} account={account} onRefused={onRefused} onClosed={() => setAsked(undefined)} />}
    </>
  );
}
