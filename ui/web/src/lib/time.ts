// Time expressions of a scope: RFC 3339, unix seconds, or relative to now ("now-15m"), as the HTTP API takes them.
// Moments inside the page are unix microseconds: exact in a double until the year 2255.

export interface Window {
  start: string;
  end: string;
}

const UNIT_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Unix milliseconds of an expression, or null when it is not one. */
export function parseTime(text: string, nowMs: number): number | null {
  const relative = /^now(?:-(\d+)([smhd]))?$/.exec(text.trim());
  if (relative) return nowMs - (relative[1] ? Number(relative[1]) * UNIT_MS[relative[2]] : 0);
  if (/^\d{9,11}(\.\d+)?$/.test(text.trim())) return Number(text) * 1e3;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text.trim())) return null;
  const parsed = Date.parse(text.trim().replace(" ", "T"));
  return Number.isNaN(parsed) ? null : parsed;
}

/** How far "now-15m" lies back, as a number and its unit; null when it is another expression. */
export function lookBack(text: string): { n: number; unit: "s" | "m" | "h" | "d" } | null {
  const found = /^now-(\d+)([smhd])$/.exec(text.trim());
  return found ? { n: Number(found[1]), unit: found[2] as "s" | "m" | "h" | "d" } : null;
}

export function isRelative(text: string): boolean {
  return /^now(-\d+[smhd])?$/.test(text.trim());
}

/** RFC 3339 in UTC with microseconds. */
export function isoMicros(us: number): string {
  const ms = Math.floor(us / 1e3);
  const rest = Math.round(us - ms * 1e3);
  return `${new Date(ms).toISOString().slice(0, -1)}${rest.toString().padStart(3, "0")}Z`;
}

/** Unix microseconds of an RFC 3339 text, keeping its microseconds. */
export function microsOf(iso: string): number {
  const ms = Date.parse(iso);
  const fraction = /\.(\d+)/.exec(iso)?.[1] ?? "";
  return ms * 1e3 + Number(fraction.padEnd(6, "0").slice(3, 6));
}

/** Unix microseconds of the API's `t0`, a decimal text of nanoseconds. */
export function microsOfT0(t0: string): number {
  return t0.length > 3 ? Number(t0.slice(0, -3)) : 0;
}
