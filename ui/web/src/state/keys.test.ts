import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PAGE_KEYS } from "./keys";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

test("every page of the navigation has a key, and the paper lists it", () => {
  const paths = [...read("../views/pages.ts").matchAll(/path: "([^"]+)",\s+title: "[^"]+",\s+group: "/g)].map(
    (m) => m[1],
  );
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !Object.values(PAGE_KEYS).includes(path))).toEqual([]);
  const everywhere = read("../../../../docs/ui.md").match(/\| everywhere \|.*/)?.[0] ?? "";
  expect(Object.keys(PAGE_KEYS).filter((key) => !everywhere.includes(`\`${key}\``))).toEqual([]);
});
