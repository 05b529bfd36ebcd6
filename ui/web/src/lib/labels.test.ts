import { expect, test } from "vitest";
import { parseLabels, printLabels } from "./labels";

test("labels go to text and back", () => {
  expect(parseLabels(" git=4f1c2aa , env=staging,")).toEqual({ git: "4f1c2aa", env: "staging" });
  expect(printLabels({ git: "4f1c2aa", env: "staging" })).toBe("git=4f1c2aa, env=staging");
  expect(parseLabels("git=4f1c2aa，env=预发")).toEqual({ git: "4f1c2aa", env: "预发" });
  expect(parseLabels("")).toEqual({});
  expect(parseLabels("url=a=b")).toEqual({ url: "a=b" });
});

test("what is no label is told", () => {
  expect(parseLabels("staging")).toBe(null);
  expect(parseLabels("=x")).toBe(null);
  expect(parseLabels(" =x")).toBe(null);
});
