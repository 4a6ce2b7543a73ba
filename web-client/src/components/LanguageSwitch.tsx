import { Segmented } from "antd";
import { languages, useLanguage } from "../lib/i18n";
import type { Language } from "../lib/i18n";

export function LanguageSwitch() {
  const { language, setLanguage, words } = useLanguage();
  return (
    <Segmented<Language>
      size="small"
      aria-label={words.language}
      value={language}
      onChange={setLanguage}
      options={(Object.keys(languages) as Language[]).map((tag) => ({ value: tag, label: languages[tag].name }))}
    />
  );
}
