// What the pages say, in both languages, where there is nothing to show or the server does not answer a question; and
// that what matters is in sight on a small screen.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page, Route } from "playwright-core";
import { describe, expect, test } from "vitest";
import { type Look, pages, real, settled } from "./browser.ts";

const fixture = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname ?? "e2e", "fixtures", `${name}.json`), "utf8"));

const { open } = pages();

const answering = (status: number, body: unknown) => (route: Route) =>
  route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
const main = (page: Page) => page.locator("main").innerText();

describe.runIf(!real)("what the server says, in the reader's language", () => {
  const refused = (look: Look, kind: string, message: string, hint: string | null) =>
    open("services", look, (p) => p.route("**/api/v1/services?*", answering(422, { error: { kind, message, hint } })));

  test("a limit and its hint are in Chinese on a Chinese page, and as written on an English one", async () => {
    const [message, hint] = [
      "the query took longer than 30 s",
      "narrow the time range, filter by service_name, or select fewer columns",
    ];
    const chinese = await refused({ language: "zh" }, "limit", message, hint);
    const said = await chinese.page.getByRole("alert").innerText();
    expect(said).toContain("查询超过了 30 秒的时限");
    expect(said).toContain("请缩小时间范围");
    expect(said).toContain("超过上限");
    expect(said).not.toMatch(/the query|narrow/);
    const english = await refused({}, "limit", message, hint);
    expect(await english.page.getByRole("alert").innerText()).toMatch(/The query took longer than 30 s\s+narrow the/);
  });

  test("words that only the server has stand below the kind of error, marked as English", async () => {
    const { page } = await refused({ language: "zh" }, "invalid", "the moon is full", "wait for a new one");
    expect(await page.locator(".failure-what").innerText()).toBe("请求有误");
    expect(await page.locator(".failure [lang=en]").allInnerTexts()).toEqual([
      "The moon is full",
      "wait for a new one",
    ]);
  });

  test("a page of a proxy is not read out, and no JSON is no riddle", async () => {
    const page502 = { contentType: "text/html", body: "<html><h1>502 Bad Gateway</h1></html>" };
    const gone = await open("services", {}, (p) =>
      p.route("**/api/v1/services?*", (r) => r.fulfill({ status: 502, ...page502 })),
    );
    expect(await gone.page.getByRole("alert").innerText()).toMatch(/^Not an answer of hotspan\s+Status 502/);
    const other = await open("services", { language: "zh" }, (p) =>
      p.route("**/api/v1/services?*", (r) => r.fulfill({ status: 200, ...page502 })),
    );
    expect(await other.page.getByRole("alert").innerText()).toMatch(/^收到的不是 hotspan 的回答\s+状态码 200/);
  });

  test("why exports are refused is said in Chinese as well", async () => {
    const refusing = "the data disk has 40 MiB free, less than 64 MiB";
    const { page } = await open("services", { language: "zh" }, (p) =>
      p.route("**/api/v1/status", answering(200, { ...fixture("status"), refusing })),
    );
    expect(await page.locator(".banner.bad").first().innerText()).toContain("数据磁盘剩余 40 MiB，低于 64 MiB");
  });
});

describe.runIf(!real)("where there is nothing to show", () => {
  const meta = { ...fixture("flame").meta, rows: 0, notes: [] };
  const summary = { en: "No instance is out of line.", zh: "没有异常实例。" };
  const nothing: Record<string, unknown> = {
    steps: { ...fixture("steps"), steps: [], baseline_step: null, current_step: null },
    hotspots: {
      ...fixture("hotspots"),
      verdict: "not_enough_data",
      baseline: null,
      hotspots: [],
      window: { ...fixture("hotspots").window, requests: 0 },
    },
    flame: { ...fixture("flame"), meta, requests: 0, baseline_requests: null, nodes: [] },
    "service-map": { meta, nodes: [], edges: [] },
    services: { meta, services: [] },
    hidden: { meta, requests: 0, rows: [] },
    "instance-skew": {
      meta,
      verdict: "even",
      summary,
      compared: { operations: 0, instances: 0 },
      left_out: {},
      rows: [],
    },
    "metrics/names": { meta, metrics: [] },
  };
  for (const bin of (nothing.steps as { timeline: { requests: number; p50_ns: null; p99_ns: null }[] }).timeline)
    Object.assign(bin, { requests: 0, p50_ns: null, p99_ns: null });

  const inStore = (spans: number) => {
    const ledger = Object.fromEntries(["spans", "metrics", "logs"].map((s) => [s, { received: spans }]));
    return { ...fixture("status"), ledger, ledger_since_creation: ledger, tables: [], reasons: [] };
  };
  const openEmpty = (path: string, spans: number, look?: Look) =>
    open(path, look, async (p) => {
      await p.route("**/api/v1/status", answering(200, inStore(spans)));
      for (const [name, body] of Object.entries(nothing)) await p.route(`**/api/v1/${name}?*`, answering(200, body));
    });

  test("an overview without requests has no axes, and says so once a panel", async () => {
    const { page } = await openEmpty("", 7);
    expect(await page.locator(".uplot").count()).toBe(0);
    expect(await main(page)).toContain("No request in this range.");
    expect(await main(page)).not.toContain("1 ns");
    expect(await main(page)).not.toContain("Click a level");
  });

  test("a new store is told how to send, on every page; one that has spans is told to look elsewhere", async () => {
    for (const path of ["flame", "map", "services", "hidden", "hidden?tab=instances", "metrics-explorer"]) {
      const empty = await openEmpty(path, 0);
      const how = empty.page.getByRole("link", { name: "How to send the first ones" }).first();
      expect([path, await how.count(), (await main(empty.page)).includes("Widen")]).toEqual([path, 1, false]);
      const filled = await openEmpty(path, 7, { language: "zh" });
      expect([path, (await main(filled.page)).includes("尚未收到")]).toEqual([path, false]);
    }
    const { page } = await openEmpty("services", 0);
    await page.getByRole("link", { name: "How to send the first ones" }).click();
    await page.getByRole("heading", { name: "Waiting for the first span" }).waitFor();
  });

  test("an empty call tree is one panel, and a summary without rows is said once", async () => {
    const tree = await openEmpty("flame", 7);
    expect(await tree.page.locator(".panel").count()).toBe(1);
    const instances = await openEmpty("hidden?tab=instances", 7);
    expect(await instances.page.locator(".panel-body").innerText()).toBe(summary.en);
  });
});

describe.runIf(!real)("on a small screen", () => {
  test("the node that takes most of the time is in sight on a long map", async () => {
    const map = fixture("service-map");
    const node = map.nodes[0];
    const names = Array.from({ length: 12 }, (_, i) => `stage-${i}-of-the-pipeline`);
    const chain = {
      ...map,
      nodes: names.map((id, i) => ({ ...node, id, name: id, critical_share: i === 10 ? 0.8 : 0.02 })),
      edges: names.slice(1).map((to, i) => ({ ...map.edges[0], from: names[i], to })),
    };
    const { page } = await open("map", { width: 1024 }, (p) =>
      p.route("**/api/v1/service-map?*", answering(200, chain)),
    );
    await settled(page);
    const region = (await page.locator(".map").boundingBox())!;
    const hot = (await page.locator(".map-node").nth(10).boundingBox())!;
    expect(hot.x).toBeGreaterThanOrEqual(region.x);
    expect(hot.x + hot.width).toBeLessThanOrEqual(region.x + region.width);
  });

  test("the shop's map fits a screen of 1024 pixels whole", async () => {
    const { page } = await open("map", { width: 1024 });
    const sideways = await page.locator(".map").evaluate((map) => map.scrollWidth - map.clientWidth);
    expect(sideways).toBeLessThanOrEqual(0);
  });
});
