// Where latency hides, in a real browser: each kind of finding leads to the spans meant.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { pages, real } from "./browser.ts";
import { HIDDEN } from "./hidden.ts";

const { open } = pages();

const search = (page: Page) => new URL(page.url()).searchParams;
const row = (page: Page, has: string) => page.locator(".grid tbody tr").filter({ hasText: has }).first();

describe.runIf(!real)("hidden latency", () => {
  test("the tabs lead to instances, cold starts and requests sent late", async () => {
    const { page, problems } = await open("hidden");
    for (const [name, tab, found] of [
      ["Queues", "queueing", "load varied too little"],
      ["Amplification", "amplification", "inventory-db"],
      ["Instances", "instances", "inventory-7c9f-3"],
      ["Cold starts", "starts", "thumbnails"],
      ["Sent late", "omission", "POST /orders"],
    ]) {
      await page.locator(".segmented label", { hasText: name }).first().click();
      await page.waitForURL((u) => u.searchParams.get("tab") === tab);
      await row(page, found).waitFor();
    }
    expect(problems).toEqual([]);
  });

  test("repeated calls are shown with what they say", async () => {
    const { page, problems } = await open("hidden");
    expect(await row(page, "N+1 calls").innerText()).toContain("SELECT amount FROM prices WHERE product_id = ?");
    expect(problems).toEqual([]);
  });

  test("a queue: what is waited at low and at high load, and the curve between", async () => {
    const { page, problems } = await open("hidden?tab=queueing");
    const grows = await row(page, "grows").innerText();
    for (const text of ["gateway", "order", "40 ms", "at 900/s", "2 ms", "at 400/s", "low load 5 ms", "520/s"])
      expect(grows).toContain(text);
    await row(page, "grows").getByRole("button", { name: "Details" }).click();
    expect(await page.locator(".spot-why").innerText()).toContain("grows with load: 2.00 ms at 400/s");
    expect(await page.locator(".spot-detail .uplot").count()).toBe(1);
    expect(problems).toEqual([]);
  });

  test("amplification: the calls of one request, tier by tier", async () => {
    const { page, problems } = await open("hidden?tab=amplification");
    const found = await row(page, "POST /orders").innerText();
    for (const text of ["→ inventory-db × 3.00", "amplified", "× 9.00", "order → inventory"])
      expect(found).toContain(text);
    await row(page, "POST /orders").getByRole("button", { name: "Details" }).click();
    expect(await page.locator(".spot-detail .grid tbody tr").count()).toBe(3);
    expect(problems).toEqual([]);
  });

  test("a slow instance: what it costs, beside its siblings, and its own heat map", async () => {
    const { page, problems } = await open("hidden?tab=instances");
    const slow = await row(page, "inventory-7c9f-3").innerText();
    for (const text of ["slower", "one of 4", "5.8 s", "× 3", "42 ms", "others 14 ms"]) expect(slow).toContain(text);
    expect(await row(page, "fails more").innerText()).toContain("12 %");
    expect(await page.getByText("2 operations on one instance only").count()).toBe(1);
    await row(page, "inventory-7c9f-3").getByRole("button", { name: "Details" }).click();
    expect(await page.locator(".spot-why").innerText()).toContain("requests lose 5.80 s a minute");
    await page.locator(".spot-detail").getByRole("link", { name: "Heat map" }).click();
    await page.waitForURL(/\/heat\?/);
    const at = ["service", "operation", "kind", "instance"].map((name) => search(page).get(name));
    expect(at).toEqual(["inventory", "POST /reserve", "SERVER", "inventory-7c9f-3"]);
    expect(problems).toEqual([]);
  });

  test("instances are sorted by keyboard, and the order is in the address", async () => {
    const { page } = await open("hidden?tab=instances");
    await page.getByRole("button", { name: "Share of calls" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL((u) => u.searchParams.get("sort") === "-load");
    expect(await page.locator(".grid tbody tr").first().innerText()).toContain("inventory-7c9f-2");
  });

  test("a cold start opens to its instances, and says which cannot be judged", async () => {
    const { page, problems } = await open("hidden?tab=starts");
    const payment = await row(page, "payment").innerText();
    for (const text of ["2 slow", "1 not known", "20 s", "at most 35 s", "later 48 ms"])
      expect(payment).toContain(text);
    await row(page, "payment").getByRole("button", { name: "Details" }).click();
    expect(await page.locator(".spot-detail .grid tbody tr").count()).toBe(3);
    expect(await row(page, "payment-7").innerText()).toContain("too few calls to tell");
    expect(problems).toEqual([]);
  });

  test("latency from the intended start, and the closed loop that is suspected", async () => {
    const { page, problems } = await open("hidden?tab=omission");
    const orders = await row(page, "POST /orders").innerText();
    for (const text of ["2.4 s", "from start 310 ms", "2.09 s", "3.1 s", "18 %", "suspected"]) {
      expect(orders).toContain(text);
    }
    expect(await row(page, "GET /cart").innerText()).toContain("cannot be told");
    await row(page, "POST /orders").getByRole("button", { name: "Details" }).click();
    expect(await page.locator(".spot-why").innerText()).toContain("a closed loop is suspected");
    expect(problems).toEqual([]);
  });

  test("where no request tells its intended start, the page says which attribute to send", async () => {
    const hint = { en: "send hotspan.intended_start_unix_nano", zh: "请设置 hotspan.intended_start_unix_nano" };
    const body = JSON.stringify({ ...(HIDDEN["coordinated-omission"] as object), known: false, hint });
    const prepare = (page: Page) =>
      page.route("**/api/v1/coordinated-omission?*", (r) => r.fulfill({ contentType: "application/json", body }));
    const { page } = await open("hidden?tab=omission", {}, prepare);
    expect(await page.locator(".hint").innerText()).toBe(hint.en);
    const chinese = await open("hidden?tab=omission", { language: "zh" }, prepare);
    expect(await chinese.page.locator(".hint").innerText()).toBe(hint.zh);
  });

  test("a statement's errors are a count, and are called one in Chinese", async () => {
    const { page } = await open("hidden?tab=statements", { language: "zh" });
    expect(await page.getByRole("button", { name: "错误数" }).count()).toBe(1);
    expect(await page.getByText("错误率").count()).toBe(0);
  });
});
