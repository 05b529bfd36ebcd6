// Shared by everything that listens to plain keys.

/** The page that `g` and then a letter opens. */
export const PAGE_KEYS: Record<string, string> = {
  o: "/",
  h: "/heat",
  f: "/flame",
  l: "/hidden",
  t: "/traces",
  r: "/runs",
  c: "/capacity",
  w: "/what-if",
  s: "/services",
  p: "/operations",
  m: "/map",
  e: "/metrics-explorer",
  q: "/sql",
  i: "/health",
};

/** Whether a key press goes into a field (or a dialog) and is none of the page's business. */
export function isTyping(e: { target: EventTarget | null }): boolean {
  const element = e.target as HTMLElement | null;
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable=true], dialog, .cm-editor"));
}
