import { expect, test } from "vitest";
import { fill } from "../lib/fill";
import { en } from "./en";
import { zh } from "./zh";

test("no English text counts one of something in the plural", () => {
  const counted = Object.entries(en).filter(([, text]) => text.includes("{n}"));
  const ones = counted.map(([, text]) => fill(text, { n: "1" }).replace(/\b1 (series|tells)\b/, ""));
  expect(ones.filter((text) => /\b1 [a-z]+s\b/.test(text))).toEqual([]);
});

test("both languages have places for the same figures", () => {
  const places = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((m) => m[1]))].sort();
  const differing = (Object.keys(en) as (keyof typeof en)[]).filter(
    (key) => places(en[key]).join() !== places(zh[key]).join(),
  );
  expect(differing).toEqual([]);
});

test("Chinese sentences have Chinese punctuation", () => {
  const ascii = Object.entries(zh).filter(([, text]) => /[\u4e00-\u9fff][,;:!?()]|[,;:!?()][\u4e00-\u9fff]/.test(text));
  expect(ascii.map(([key, text]) => `${key}: ${text}`)).toEqual([]);
});
