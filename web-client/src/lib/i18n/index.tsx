import { createContext, useContext, useEffect, useMemo, useState } from "react";
import type { ReactNode } from "react";
import { en } from "./en";
import { zh } from "./zh";
import type { Dictionary } from "./zh";

export type { Dictionary } from "./zh";

/** The languages by their tags, with the name that their speakers give them. */
export const languages = { "zh-CN": { name: "中文", words: zh }, en: { name: "English", words: en } } as const satisfies Record<string, { name: string; words: Dictionary }>;
export type Language = keyof typeof languages;

const key = "softacs.language";
const isLanguage = (tag: string | null): tag is Language => tag !== null && tag in languages;

const Current = createContext<{ language: Language; setLanguage: (language: Language) => void; words: Dictionary }>({
  language: "zh-CN", setLanguage: () => {}, words: zh,
});

export function LanguageProvider({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(() => {
    const remembered = localStorage.getItem(key);
    return isLanguage(remembered) ? remembered : "zh-CN";
  });
  useEffect(() => {
    localStorage.setItem(key, language);
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo(() => ({ language, setLanguage, words: languages[language].words }), [language]);
  return <Current value={value}>{children}</Current>;
}

export const useLanguage = () => useContext(Current);

/** The words for a value of a list that others may add to, or the value itself. */
export const say = (list: Readonly<Record<string, string | undefined>>, value: string) => list[value] ?? value;

/** The words in the language that is on. */
export const useWords = (): Dictionary => useContext(Current).words;
