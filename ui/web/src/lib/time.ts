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

/** A range cut loose from now, which was `nowMs`, so that it stays where it is; stretched to hold a part. */
export function fixedRange(range: Window, nowMs: number, part: Window): Window {
  const start = Math.min(parseTime(range.start, nowMs) ?? nowMs, parseTime(part.start, nowMs) ?? nowMs);
  const end = Math.max(parseTime(range.end, nowMs) ?? nowMs, parseTime(part.end, nowMs) ?? nowMs);
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

const WIDER = ["now-1h", "now-1d", "now-7d"] as const;

/** The next longer look back from now than a range; null when there is none. */
export function widerThan(range: Window, nowMs: number): (typeof WIDER)[number] | null {
  const start = parseTime(range.start, nowMs) ?? nowMs;
  return WIDER.find((wider) => (parseTime(wider, nowMs) ?? nowMs) < start) ?? null;
}

/** Seconds between two marks of a time axis. */
export const TIME_STEPS = [
  0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400,
  172800, 604800, 2419200,
];

/** Round moments of local time in [from, to], in unix seconds: at most so many. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const step = TIME_STEPS.find((s) => (to - from) / s <= most - 1) ?? to - from;
  const local = new Date(from * 1e3).getTimezoneOffset() * -60;
  const ticks: number[] = [];
  for (let i = Math.ceil((from + local) / step); i * step - local <= to; i++) ticks.push(i * step - local);
  return ticks;
}
