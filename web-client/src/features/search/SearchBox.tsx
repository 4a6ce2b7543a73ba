import { Input } from "antd";
import { useLocation } from "wouter";
import { useWords } from "../../lib/i18n";

/** The one box that finds whom a caller means, from every page. */
export function SearchBox() {
  const words = useWords();
  const [, navigate] = useLocation();
  return (
    <form role="search" aria-label={words.search} className="find" onSubmit={(event) => {
      event.preventDefault();
      const text = String(new FormData(event.currentTarget).get("find") ?? "").trim();
      if (text !== "") navigate(`/search?text=${encodeURIComponent(text)}`);
    }}>
      <Input name="find" size="small" type="search" placeholder={words.find.hint} aria-label={words.find.hint} maxLength={128} autoComplete="off" allowClear />
    </form>
  );
}
