import { expect, test } from "vitest";
import { fill } from "./fill";

test("the word goes with the figure", () => {
  const text = "{n} {n|row|rows} {n|was|were} rejected";
  expect(fill(text, { n: 1 })).toBe("1 row was rejected");
  expect(fill(text, { n: "1,001" })).toBe("1,001 rows were rejected");
  expect(fill(text, { n: 0 })).toBe("0 rows were rejected");
});

test("what is not given stays, and a figure is no template", () => {
  expect(fill("{a} of {b}", { a: "{b}" })).toBe("{b} of {b}");
});
