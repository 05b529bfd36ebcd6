// Finds a sentence among templates with places, `the query took longer than {limit} s`, and says it in other words.

/** A sentence as the server writes it, and the same in another language with the same places. */
export type Saying = readonly [said: string, inOtherWords: string];

/**
 * The sentence in the other language, or null where no template fits. A place may hold a sentence or a word that has a
 * template of its own. What stands before a colon, a parameter's name say, stays.
 */
export function inOtherWords(text: string, sayings: readonly Saying[]): string | null {
  const [, of, rest] = /^(\w+): (.+)$/s.exec(text) ?? [];
  const after = rest && inOtherWords(rest, sayings);
  if (after) return `${of}：${after}`;
  for (const [said, words] of sayings) {
    const found = pattern(said).exec(text);
    if (!found) continue;
    const values = found.groups ?? {};
    return words.replace(/\{(\w+)\}/g, (whole, name) =>
      name in values ? (inOtherWords(values[name], sayings) ?? values[name]) : whole,
    );
  }
  return null;
}

const patterns = new Map<string, RegExp>();

function pattern(said: string): RegExp {
  const known = patterns.get(said);
  if (known) return known;
  const parts = said.split(/\{(\w+)\}/);
  const source = parts.map((part, i) => (i % 2 ? `(?<${part}>.+?)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  const made = new RegExp(`^${source.join("")}$`, "s");
  patterns.set(said, made);
  return made;
}
