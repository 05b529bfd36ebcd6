import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inOtherWords } from "../lib/said";
import { SERVER_ZH } from "./server";

const ROOT = join(import.meta.dirname, "../../../..");
const zh = (text: string) => inOtherWords(text, SERVER_ZH);

test("every sentence of the server that has Chinese words is one that the server says", () => {
  const said = new Set(["model", "query", "storage", "ui/src"].flatMap((folder) => literalsOf(join(ROOT, folder))));
  const gone = SERVER_ZH.map(([en]) => en).filter((en) => !said.has(en.replace(/\{\w+\}/g, "{}")));
  expect(gone).toEqual([]);
});

test("both languages of a sentence have the same places, and no sentence stands twice", () => {
  const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();
  expect(SERVER_ZH.filter(([en, words]) => places(en).join() !== places(words).join())).toEqual([]);
  expect(new Set(SERVER_ZH.map(([en]) => en)).size).toBe(SERVER_ZH.length);
});

test("figures, names and words within a sentence find their place", () => {
  expect(zh("the query took longer than 0.5 s")).toBe("查询超过了 0.5 秒的时限");
  expect(zh("the window ends before it starts")).toBe("窗口的结束早于开始");
  expect(zh('start_time: "soon" is not a time')).toBe('start_time："soon" 不是有效的时间');
  expect(zh("the statement has 70 joins and set operations, at most 64 are allowed")).toBe(
    "语句有 70 个连接与集合运算，最多允许 64 个",
  );
  expect(zh("the data disk has 40 MiB free, less than 64 MiB")).toBe("数据磁盘剩余 40 MiB，低于 64 MiB");
  expect(zh("the write-ahead log is full: it holds 9 of 8 bytes")).toBe("预写日志的空间已满：9 / 8 字节");
  expect(zh('there is no run "round-1@40k"')).toBe('没有压测 "round-1@40k"');
  expect(zh("Incompatible input types for Union")).toBeNull();
});

/** The texts in the Rust sources of a folder, with `{}` for each place. */
function literalsOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".rs"))
    .flatMap((file) => {
      const source = readFileSync(join(folder, file), "utf8").replace(/^\s*\/\/.*$/gm, "");
      return [...source.matchAll(/"((?:[^"\\]|\\[\s\S])*)"/g)].map((m) =>
        m[1]
          .replace(/\\\n\s*/g, "")
          .replace(/\\"/g, '"')
          .replace(/\{[^{}]*\}/g, "{}"),
      );
    });
}
