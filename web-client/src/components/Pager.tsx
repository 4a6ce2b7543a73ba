import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { Button, Select } from "antd";
import { useWords } from "../lib/i18n";
import { pageSizes } from "../lib/paging";
import type { PageParts, useListAddress, useTurns } from "../lib/paging";

/** Turns the pages of a list that is read by cursor. */
export function Pager({ page, address }: { readonly page: PageParts; readonly address: ReturnType<typeof useListAddress> }) {
  const words = useWords();
  const size = "first" in address.window ? address.window.first : address.window.last;
  return (
    <div className="pager">
      <Select
        size="small"
        aria-label={words.pageSize(size)}
        value={size}
        options={pageSizes.map((n) => ({ value: n, label: words.pageSize(n) }))}
        onChange={(n) => address.change({ size: String(n) })}
      />
      <Button size="small" icon={<LeftOutlined aria-hidden />} disabled={!page.hasPreviousPage || !page.startCursor}
        onClick={() => page.startCursor && address.turn({ before: page.startCursor })}>{words.previous}</Button>
      <Button size="small" icon={<RightOutlined aria-hidden />} iconPlacement="end" disabled={!page.hasNextPage || !page.endCursor}
        onClick={() => page.endCursor && address.turn({ after: page.endCursor })}>{words.next}</Button>
    </div>
  );
}

/** Turns the pages of a list within a page. */
export function Turner({ turns, page }: { readonly turns: ReturnType<typeof useTurns>; readonly page: PageParts | undefined }) {
  const words = useWords();
  return (
    <div className="pager">
      <Button size="small" disabled={turns.after === undefined} onClick={turns.back}>{words.previous}</Button>
      <Button size="small" disabled={!page?.hasNextPage} onClick={() => page?.endCursor && turns.on(page.endCursor)}>{words.next}</Button>
    </div>
  );
}
