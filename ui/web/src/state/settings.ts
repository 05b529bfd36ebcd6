// The reader's own choices: language and theme (kept), live refresh (not kept: a page opens at rest).

import { createStore, keptStore } from "./store";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const browserLanguage: Language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const language = keptStore<Language>("language", LANGUAGES, browserLanguage, (value) => {
  document.documentElement.lang = value === "zh" ? "zh-CN" : "en";
});

const darkSystem = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now, whatever the reason. */
export const dark = createStore(darkSystem.matches);

export const theme = keptStore<Theme>("theme", THEMES, "system", showTheme);
darkSystem.addEventListener("change", () => showTheme(theme.get()));

function showTheme(value: Theme) {
  const isDark = value === "dark" || (value === "system" && darkSystem.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  dark.set(isDark);
}

/** Whether a token was handed in from this browser; the token itself is out of the page's reach. */
export const signedIn = keptStore<"yes" | "no">("signed-in", ["yes", "no"], "no");

export const live = createStore(false);
/** True while a brush is being drawn: what is under the pointer must not move. */
export const frozen = createStore(false);

export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
