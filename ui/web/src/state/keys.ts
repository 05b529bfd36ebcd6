// Shared by everything that listens to plain keys.

/** Whether a key press goes into a field (or a dialog) and is none of the page's business. */
export function isTyping(e: { target: EventTarget | null }): boolean {
  const element = e.target as HTMLElement | null;
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable=true], dialog, .cm-editor"));
}
