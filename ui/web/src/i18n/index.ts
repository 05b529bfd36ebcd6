// Texts in the reader's language. English is the source of keys; a language that lacks one does not compile.

import { fill, type Vars } from "../lib/fill";
import { inOtherWords } from "../lib/said";
import { type Language, language } from "../state/settings";
import { en } from "./en";
import { SERVER_ZH } from "./server";
import { zh } from "./zh";

export type Key = keyof typeof en;
export type Translate = (key: Key, vars?: Vars) => string;

const DICTIONARIES: Record<Language, Record<Key, string>> = { en, zh };

export function translate(lang: Language, key: Key, vars: Vars = {}): string {
  return fill(DICTIONARIES[lang][key], vars);
}

/** The text of a word that the server chose (a category, a flag); unknown ones stay as they are. */
export function translateWord(lang: Language, prefix: string, word: string): string {
  const key = `${prefix}.${word}`;
  return key in DICTIONARIES.en ? DICTIONARIES[lang][key as Key] : word;
}

/** A sentence of the server in the reader's language; null where there are no words for it but its own. */
export function translateServer(lang: Language, sentence: string): string | null {
  return lang === "zh" ? inOtherWords(sentence, SERVER_ZH) : sentence;
}

export function useText(): { t: Translate; word: (prefix: string, word: string) => string; lang: Language } {
  const lang = language.use();
  return {
    t: (key, vars) => translate(lang, key, vars),
    word: (prefix, w) => translateWord(lang, prefix, w),
    lang,
  };
}
