// Texts with places for figures: `{n}` is the figure, `{n|row|rows}` the word that goes with it.

export type Vars = Record<string, string | number>;

/** A place whose name is not given stays as it is. The first word stands for one, the second for any other number. */
export function fill(text: string, vars: Vars): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name, one, many) => {
    if (!(name in vars)) return whole;
    const figure = String(vars[name]);
    if (one === undefined) return figure;
    return figure === "1" ? one : many;
  });
}
