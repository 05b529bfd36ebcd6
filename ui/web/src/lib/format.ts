// Numbers, durations and times as text. Digits are never shortened by language ("2.5万"): figures of an analysis are
// compared by eye, so they keep the same shape in every language.

const NS = 1;
const US = 1e3;
const MS = 1e6;
const S = 1e9;

/** Three significant digits, grouped thousands, no exponent. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return group(trimZeros(value.toFixed(digits)));
}

/** A count: whole, with grouped thousands. */
export function count(value: number): string {
  return Number.isFinite(value) ? group(Math.round(value).toString()) : String(value);
}

/** Nanoseconds with the unit that keeps the figure readable. */
export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined || !Number.isFinite(ns)) return "–";
  if (ns === 0) return "0";
  if (ns < 0) return `−${duration(-ns)}`;
  const size = ns;
  if (size < US) return `${significant(ns / NS)} ns`;
  if (size < MS * 0.9995) return `${significant(ns / US)} µs`;
  if (size < S * 0.9995) return `${significant(ns / MS)} ms`;
  if (size < 120 * S) return `${significant(ns / S)} s`;
  const seconds = Math.round(size / S);
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} d${hours % 24 > 0 ? ` ${hours % 24} h` : ""}`;
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours > 0
    ? `${hours} h${minutes > 0 ? ` ${minutes} min` : ""}`
    : `${minutes} min${seconds % 60 > 0 ? ` ${seconds % 60} s` : ""}`;
}

/** A change of a duration, always with its sign. */
export function change(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) return "–";
  return ns > 0 ? `+${duration(ns)}` : duration(ns);
}

export function percent(share: number | null | undefined, digits?: number): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  if (share < 0) return `−${percent(-share, digits)}`;
  const p = share * 100;
  const places = digits ?? (p === 0 || p === 100 || p >= 10 ? 0 : p >= 1 ? 1 : 2);
  return `${group(p.toFixed(places))} %`;
}

/** A confidence: never certain. */
export function confidence(share: number | null | undefined): string {
  return share !== null && share !== undefined && share >= 0.995 ? "> 99 %" : percent(share);
}

export function rate(perSecond: number | null | undefined): string {
  return perSecond === null || perSecond === undefined ? "–" : `${number(perSecond)}/s`;
}

export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined || !Number.isFinite(size)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = size;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? count(value) : significant(value)} ${units[unit]}`;
}

/** A metric's value in its unit (UCUM): bytes and seconds become readable, annotations in braces are words. */
export function inUnit(v: number, unit: string): string {
  if (unit === "By") return bytes(v);
  if (unit === "s") return duration(v * S);
  if (unit === "ms") return duration(v * MS);
  return number(v);
}

/** A unit as a word: `{connection}` is an annotation, not a unit. */
export function unitName(unit: string): string {
  return unit === "1" ? "" : unit.replace(/^\{(.*)\}$/, "$1").replace(/^By$/, "bytes");
}

/** `14:03:07` in local time; tenths when the step asks for them. */
export function clock(ms: number, tenths = false): string {
  const d = new Date(ms);
  const text = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return tenths ? `${text}.${Math.floor(d.getMilliseconds() / 100)}` : text;
}

/** A mark on an axis of time: the day where one begins, else the time of day. */
export function timeMark(ms: number): string {
  const text = clock(ms);
  return text === "00:00:00" ? dateTime(ms).slice(0, 10) : text;
}

/** `2026-11-22 14:03:07` in local time: the same in every language, never ambiguous. */
export function dateTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(ms)}`;
}

/** How far local time is from UTC at a moment: `UTC+08:00`. */
export function timeZone(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  const size = Math.abs(minutes);
  return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The time of day for today's moments, else with the date. */
export function clockOrDate(ms: number, nowMs = Date.now()): string {
  const text = dateTime(ms);
  return text.slice(0, 10) === dateTime(nowMs).slice(0, 10) ? clock(ms) : text;
}

/** A moment with its milliseconds, for lists where many fall into one second. */
export function momentText(ms: number, nowMs = Date.now()): string {
  const fraction = Math.floor(((ms % 1000) + 1000) % 1000);
  return `${clockOrDate(ms, nowMs)}.${fraction.toString().padStart(3, "0")}`;
}

/** A window as short as it can be said: the date only when it is not today's. */
export function span(startMs: number, endMs: number, nowMs: number): string {
  const sameDay = dateTime(startMs).slice(0, 10) === dateTime(nowMs).slice(0, 10);
  const from = sameDay ? clock(startMs) : dateTime(startMs);
  const to = dateTime(startMs).slice(0, 10) === dateTime(endMs).slice(0, 10) ? clock(endMs) : dateTime(endMs);
  return `${from} – ${to}`;
}

/** An attribute's value, as it was sent. */
export function value(v: unknown): string {
  return typeof v === "string" ? v : (JSON.stringify(v) ?? String(v));
}

const UNITS: Record<string, number> = {
  ...{ ns: NS, us: US, µs: US, ms: MS, s: S, m: 60 * S, min: 60 * S },
  ...{ h: 3600 * S, d: 86_400 * S },
};

/** "12 ms", "1.5 s", "2 min 30 s", "800us", "0.2" (milliseconds without a unit) as nanoseconds; null when it is not one. */
export function parseDuration(text: string): number | null {
  if (/^\s*[0-9]*\.?[0-9]+\s*$/.test(text)) return Number(text) * MS;
  if (!/^(\s*[0-9]*\.?[0-9]+\s*(ns|us|µs|ms|s|m|min|h|d)(?![a-z]))+\s*$/.test(text)) return null;
  const parts = text.matchAll(/([0-9]*\.?[0-9]+)\s*([a-zµ]+)/g);
  return [...parts].reduce((sum, [, figure, unit]) => sum + Number(figure) * UNITS[unit], 0);
}

/** Whether a field for a duration holds one, or nothing. */
export function isDuration(text: string): boolean {
  return text.trim() === "" || parseDuration(text) !== null;
}

function significant(v: number): string {
  const size = Math.abs(v);
  return trimZeros(v.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2));
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function group(text: string): string {
  const [whole, fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction ? `${grouped}.${fraction}` : grouped;
}

function two(n: number): string {
  return n.toString().padStart(2, "0");
}
