import { expect, test } from "vitest";
import { density, difference, inkOn, type Rgb, rgbOf, serviceColor } from "./palette";

const luminance = ([r, g, b]: Rgb) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

test("dense differs most from the ground in both themes", () => {
  expect(luminance(density(1, false))).toBeLessThan(luminance(density(0.1, false)));
  expect(luminance(density(1, true))).toBeGreaterThan(luminance(density(0.1, true)));
});

test("a service keeps its colour, and names spread over the palette", () => {
  expect(serviceColor("order")).toBe(serviceColor("order"));
  const names = Array.from({ length: 60 }, (_, i) => `service-${i}`);
  expect(new Set(names.map(serviceColor)).size).toBeGreaterThan(7);
});

test("differences are blue below, orange above", () => {
  const [more, less] = [difference(1, false), difference(-1, false)];
  expect(more[0]).toBeGreaterThan(more[2]);
  expect(less[2]).toBeGreaterThan(less[0]);
});

test("ink is readable", () => {
  expect(inkOn(rgbOf("#ffffff"))).toBe("#000");
  expect(inkOn(rgbOf("#00224e"))).toBe("#fff");
});
