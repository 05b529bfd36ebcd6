// The ways people go through the pages, in a real browser: by pointer, by keyboard alone, and when things go wrong.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page, Route } from "playwright-core";
import { describe, expect, test } from "vitest";
import { pages, real, settled } from "./browser.ts";

const fixture = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname ?? "e2e", "fixtures", `${name}.json`), "utf8"));

const { open, url } = pages();

const text = (page: Page, selector: string) => page.locator(selector).first().innerText();
const search = (page: Page) => new URL(page.url()).searchParams;

describe.runIf(!real)("from the symptom to the guilty span", () => {
  test("three clicks: hot spot, its heat map with the slow band selected, the trace at the span", async () => {
    const { page, problems } = await open("");
    expect(await text(page, ".verdict-main")).toContain("inventory · UPDATE stock limits the system");

    await page
      .locator(".grid tbody tr")
      .filter({ hasText: "UPDATE stock" })
      .getByRole("button", { name: "Details" })
      .click();
    expect(await text(page, ".spot-detail")).toContain("row lock");
    await page.locator(".spot-detail").getByRole("link", { name: "Heat map" }).click();
    await page.waitForURL(/\/heat\?/);
    await settled(page);
    expect(search(page).get("sel_min_ns")).not.toBeNull();
    expect(search(page).get("baseline_start")).toBe("2026-11-22T06:00:00.000Z");
    // The range is fixed as well, so that the selection still lies in it when the link is opened later.
    expect([search(page).get("start"), search(page).get("end")]).toEqual([
      "2026-11-22T06:00:00.000Z",
      "2026-11-22T06:15:00.000Z",
    ]);
    const compare = fixture("compare");
    expect(await page.getByText(/selection n=/).innerText()).toBe(
      `selection n=${compare.selection.spans.toLocaleString("en")}, baseline n=${compare.baseline.spans.toLocaleString("en")}`,
    );
    const first = compare.differences[0];
    expect(await text(page, ".diffs li")).toContain(`${first.key} ${first.value}`);

    await page.locator(".diffs li").first().getByRole("link").click();
    await page.waitForURL(/\/trace\//);
    await settled(page);
    expect(await text(page, ".wf-row.selected")).toContain("UPDATE stock");
    expect(await text(page, ".span-details h2")).toBe("UPDATE stock");
    expect(await page.getByRole("link", { name: "Same operation at the baseline" }).count()).toBe(1);
    const among = fixture("operations").operations.find((o: { operation: string }) => o.operation === "UPDATE stock");
    await page
      .getByText(`n\u00a0${among.count.toLocaleString("en")}`)
      .first()
      .waitFor();
    await page.getByRole("link", { name: "Typical trace" }).waitFor();
    expect(problems).toEqual([]);
  });

  test("a level of the load is picked in the chart and in the table, and is in the address", async () => {
    const { page } = await open("");
    const over = page.locator(".steps-chart .u-over").first();
    const box = (await over.boundingBox())!;
    await page.mouse.click(box.x + box.width * 0.8, box.y + box.height / 2);
    await page.waitForURL(/window_start/);
    expect(search(page).get("window_start")).toBe("2026-11-22T06:06:20.000Z");
    expect(search(page).get("baseline_start")).toBe("2026-11-22T06:00:00.000Z");
    await page.getByRole("button", { name: /^Remove Window/ }).click();
    await page.waitForURL((u) => !u.searchParams.has("window_start"));
    await page.locator(".steps-table tbody tr").last().getByRole("button", { name: "Window" }).click();
    await page.waitForURL(/window_start/);
    await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 30, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL((u) => (u.searchParams.get("window_start") ?? "") < "2026-11-22T06:05");
  });

  test("load levels tell how many requests were in the system, and what one of a thousand took", async () => {
    const heads = async (width: number) => {
      const { page } = await open("", { width });
      return page.locator(".steps-table th:visible").allInnerTexts();
    };
    const wide = await heads(1440);
    expect(wide.map((head) => head.toLowerCase())).toEqual(
      expect.arrayContaining(["concurrency", "p50", "p90", "p95", "p99", "p99.9"]),
    );
    // The first to go where there is little room.
    expect((await heads(390)).length).toBe(wide.length - 1);
  });

  test("a hot spot without a p99 still leads to its slow band", async () => {
    const hot = fixture("hotspots");
    for (const h of hot.hotspots) delete h.baseline_p99_ns;
    const { page } = await open("", {}, (p) =>
      p.route("**/api/v1/hotspots?*", (r) => r.fulfill({ contentType: "application/json", body: JSON.stringify(hot) })),
    );
    await page.locator(".verdict").getByRole("link", { name: "Heat map" }).click();
    await page.waitForURL((u) => u.searchParams.has("sel_min_ns") && !u.searchParams.has("tab"));
    expect(search(page).get("sel_start")! >= "2026-11-22T06:06").toBe(true);
  });

  test("a difference offers a trace only where it is one, else the list of those that have it", async () => {
    const compare = fixture("compare");
    const [all, some, none] = compare.differences;
    Object.assign(some, { selection_count: 300, selection_share: 300 / 487 });
    Object.assign(none, { selection_count: 0, selection_share: 0 });
    const times = "sel_start=2026-11-22T06:07:00Z&sel_end=2026-11-22T06:14:00Z&sel_min_ns=60000000";
    const { page, problems } = await open(`heat?service=inventory&operation=UPDATE+stock&${times}`, {}, (p) =>
      p.route("**/api/v1/compare?*", (r) =>
        r.fulfill({ contentType: "application/json", body: JSON.stringify(compare) }),
      ),
    );
    const links = (at: number) => page.locator(".diffs li").nth(at).getByRole("link");
    expect(await links(0).getAttribute("aria-label")).toBe(`Trace: ${all.key} ${all.value}`);
    expect(await links(0).getAttribute("href")).toContain(`/trace/${compare.exemplars.selection[0]}`);
    expect(await links(2).count()).toBe(0);
    expect(some.key).toBe("instance_id");
    expect(await links(1).getAttribute("aria-label")).toBe(`Traces: ${some.key} ${some.value}`);
    const asked = page.waitForRequest(/\/search\?/);
    await links(1).press("Enter");
    const question = new URL((await asked).url()).searchParams;
    expect(Object.fromEntries(question)).toMatchObject({
      ...{ service: "inventory", operation: "UPDATE stock", instance: some.value, min_ns: "60000000" },
      ...{ start: "2026-11-22T06:07:00.000000Z", end: "2026-11-22T06:14:00.000000Z" },
    });
    expect(problems).toEqual([]);
  });

  test("drawing on the heat map selects; a difference becomes a filter; Back undoes it", async () => {
    const { page } = await open("heat?service=inventory&operation=UPDATE+stock&kind=CLIENT");
    expect(await page.getByText("Select spans in the heat map").count()).toBe(1);
    const box = (await page.locator(".heat-place").boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.6, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 120, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/sel_min_ns/);
    await settled(page);
    await page
      .getByRole("button", { name: /^Filter: app.region/ })
      .first()
      .click();
    await page.waitForURL(/attr=app.region/);
    expect(await page.locator(".chip").filter({ hasText: "app.region" }).count()).toBe(1);
    await page.goBack();
    await page.waitForURL((u) => !u.searchParams.has("attr"));
    await page.getByRole("button", { name: "Slowest 1 %" }).click();
    await page.waitForURL((u) => !u.searchParams.has("sel_start") && u.searchParams.has("sel_min_ns"));
  });
});

describe.runIf(!real)("stress-test runs", () => {
  test("from a run's steepest level to the operation behind it", async () => {
    const { page, problems } = await open("runs");
    const cells = page.locator(".board tbody tr").first().locator("td");
    expect(await cells.allInnerTexts().then((texts) => texts.map((x) => x.split("\n")[0]))).toEqual([
      "● found · lock",
      "● still there · lock",
      "✓ gone",
      "not found",
      "↩ back · lock",
    ]);
    await page.locator(".grid").first().getByRole("link", { name: "Round 5" }).click();
    await page.waitForURL(/\/runs\/r5/);
    await settled(page);
    expect(await text(page, ".run-knee")).toBe("p99 leaves the flat between 24,000 and 32,000 requests/s.");
    const growth = await page.locator(".matrix tbody tr").first().locator("td").allInnerTexts();
    expect(growth.at(-1)).toContain("+24 ms");
    await page.locator(".steps-table tbody tr").nth(3).getByRole("button", { name: "Window" }).click();
    await page.waitForURL(/window_start=2026-11-22T06%3A09/);
    await page.getByRole("link", { name: "Open the level at 32,000/s" }).click();
    await page.waitForURL((u) => u.pathname === "/" && u.searchParams.get("start") === "2026-11-22T06:00:00.000Z");
    expect(search(page).get("baseline_start")).toBe("2026-11-22T06:06:00.000Z");
    await settled(page);
    expect(await text(page, ".verdict-main")).toContain("inventory · UPDATE stock limits the system");
    expect(problems).toEqual([]);
  });

  test("what a run's page shows, and where it leads, counts the run's own traces alone", async () => {
    const asked: URL[] = [];
    const { page, problems } = await open("runs/r5", {}, async (p) =>
      p.on("request", (r) => r.url().includes("/api/v1/") && asked.push(new URL(r.url()))),
    );
    const runOf = (name: string) =>
      asked.filter((u) => u.pathname.endsWith(`/${name}`)).map((u) => u.searchParams.get("run"));
    // Of five levels but for the baseline, and of its marked stage.
    expect(runOf("hotspots")).toEqual(["r5", "r5", "r5", "r5", "r5"]);
    expect(runOf("coordinated-omission").every((run) => run === "r5")).toBe(true);
    for (const name of [/^Open the level/, "Capacity in this run", "Heat map", "Call tree"])
      expect(await page.locator(".run-go").getByRole("link", { name }).getAttribute("href")).toContain("run=r5");
    expect(await page.locator(".matrix tbody a").first().getAttribute("href")).toContain("run=r5");

    asked.length = 0;
    await page.getByRole("link", { name: /^Open the level/ }).click();
    await page.waitForURL((u) => u.pathname === "/" && u.searchParams.get("run") === "r5");
    await settled(page);
    const chip = page.locator(".chip").filter({ hasText: "Round 5: release 4.2" });
    expect(await chip.getByRole("link").getAttribute("href")).toContain("/runs/r5");
    expect([...runOf("steps"), ...runOf("hotspots")]).toEqual(["r5", "r5"]);
    for (const [path, question] of [
      ["Call tree", "flame"],
      ["Capacity", "capacity"],
      ["Heat map", "heatmap"],
      ["Traces", "search"],
    ]) {
      await page.locator(".nav").getByRole("link", { name: path, exact: true }).click();
      await settled(page);
      expect(runOf(question)).toEqual(["r5"]);
    }
    asked.length = 0;
    await chip.getByRole("button", { name: "Remove Run Round 5" }).press("Enter");
    await page.waitForURL((u) => !u.searchParams.has("run"));
    await settled(page);
    expect(runOf("search")).toEqual([null]);
    expect(problems).toEqual([]);
  });

  test("a round that was not driven as hard does not show a weak node as gone", async () => {
    const { page, problems } = await open("runs", { language: "zh" }, (p) =>
      p.route("**/api/v1/hotspots?run=r3", async (r) => {
        const body = await (await r.fetch()).json();
        body.window.requests /= 2;
        await r.fulfill({ contentType: "application/json", body: JSON.stringify(body) });
      }),
    );
    const cell = page.locator(".board tbody tr").first().locator("td").nth(2);
    expect(await cell.innerText()).toBe("◔ 负载不足\n20,000/s，此前 40,000/s");
    expect(await cell.locator("[title]").getAttribute("title")).toContain("可能仍然存在");
    await page.getByRole("button", { name: "导出" }).click();
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Markdown", exact: true }).click();
    expect(readFileSync(await (await saved).path(), "utf8")).toContain("◔ 负载不足（20,000/s，此前 40,000/s）");
    // The next one was, and did not have it.
    expect(await page.locator(".board tbody tr").first().locator("td").nth(3).innerText()).toBe("✓ 已消除");
    expect(problems).toEqual([]);
  });

  test("a marked stage is chosen by its name, and leads to the stage of that name in the round before", async () => {
    const { page, problems } = await open("runs/r5");
    const stages = page.getByRole("region", { name: "Marked stages" });
    const cells = await stages.locator("tbody tr").first().locator("td").allInnerTexts();
    expect(cells[0]).toContain("24K");
    // Three levels of three minutes: 24, 32 and 40 thousand a second.
    expect(cells.slice(1, 3)).toEqual(["32,000/s", "843"]);
    expect(cells).toContain("1.9 s");
    expect(await text(page, ".run-clock")).toContain("p99 from the intended start 1.9 s");
    await stages.getByRole("button", { name: "Window" }).click();
    await page.waitForURL((u) => u.searchParams.get("focus") === "24K");
    expect(search(page).get("window_start")).toBe("2026-11-22T06:06:00.000Z");
    await settled(page);
    expect(await page.getByRole("link", { name: "Open the stage 24K" }).getAttribute("href")).toContain("run=r5");
    // The address alone chooses it.
    await page.reload();
    await settled(page);
    expect(await stages.getByRole("button", { name: "Window" }).getAttribute("aria-pressed")).toBe("true");
    await stages.getByRole("link", { name: "Compare the stage 24K against Round 4: bank cached" }).click();
    await page.waitForURL((u) => u.searchParams.get("a") === "r4@24K" && u.searchParams.get("b") === "r5@24K");
    await settled(page);
    const choice = page.getByRole("group", { name: "Stages of the same name" });
    expect(await choice.getByRole("radio", { name: "24K" }).isChecked()).toBe(true);
    await choice.getByText("All of both").click();
    await page.waitForURL((u) => u.searchParams.get("a") === "r4" && u.searchParams.get("b") === "r5");
    expect(problems).toEqual([]);
  });

  test("what a run shows that goes on follows it: levels every other second, its last level's hot spots every five", async () => {
    const { page, problems } = await open("runs");
    await page.getByLabel("Name").fill("Round 6");
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/runs\/new/);
    await settled(page);
    const asked: URL[] = [];
    page.on("request", (r) => r.url().includes("run=new") && asked.push(new URL(r.url())));
    await page.waitForTimeout(8_500);
    const of = (name: string) => asked.filter((u) => u.pathname.endsWith(`/${name}`));
    expect(of("steps").length).toBeGreaterThanOrEqual(3);
    expect(of("hotspots").length).toBeGreaterThanOrEqual(1);
    // Levels that are over stay as they were told.
    for (const u of of("hotspots"))
      expect([u.searchParams.get("start"), u.searchParams.has("end")]).toEqual(["2026-11-22T06:12:00.000Z", false]);
    expect(problems).toEqual([]);
  });

  test("the board asks again for a round that goes on", async () => {
    const asked: string[] = [];
    const { page } = await open("runs", {}, async (p) =>
      p.on("request", (r) => r.url().includes("/hotspots?run=new") && asked.push(r.url())),
    );
    await page.getByLabel("Name").fill("Round 6");
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/runs\/new/);
    await page.locator(".nav").getByRole("link", { name: "Runs" }).click();
    await page.waitForURL(/\/runs$/);
    await settled(page);
    await page.waitForRequest(/hotspots\?run=new$/, { timeout: 9_000 });
    asked.length = 0;
    await page.waitForRequest(/hotspots\?run=new$/, { timeout: 9_000 });
    expect(asked.length).toBe(1);
  });

  test("of many rounds the newest are shown under their numbers, and all on demand", async () => {
    const at = (day: number) => new Date(Date.UTC(2026, 9, day, 6)).toISOString();
    const runs = Array.from({ length: 14 }, (_, i) => ({
      ...{ id: `n${i + 1}`, name: `Nightly ${i + 1}`, start_time: at(i + 1), end_time: at(i + 1) },
      ...{ labels: {}, notes: "", marks: [] },
    }));
    const { page } = await open("runs", {}, (p) =>
      p.route("**/api/v1/runs", (r) =>
        r.fulfill({ contentType: "application/json", body: JSON.stringify({ runs: runs.toReversed() }) }),
      ),
    );
    const rounds = page.locator(".board thead a");
    expect(await rounds.allInnerTexts()).toEqual([7, 8, 9, 10, 11, 12, 13, 14].map((n) => `${n} · Nightly ${n}`));
    expect(await page.getByText("the newest 8 of 14").count()).toBe(1);
    await page.getByRole("button", { name: "Show all 14" }).click();
    await page.waitForURL(/tab=all/);
    await settled(page);
    expect(await rounds.first().innerText()).toBe("1 · Nightly 1");
    expect(await rounds.count()).toBe(14);
  });

  test("a run is started, marked, noted and stopped; a refused one says why", async () => {
    const { page, problems } = await open("runs");
    await page.getByLabel("Name").fill("taken");
    await page.getByLabel("Labels").fill("nonsense");
    expect(await page.getByRole("button", { name: "Start the run" }).isDisabled()).toBe(true);
    await page.getByLabel("Labels").fill("git=abc");
    await page.getByRole("button", { name: "Start the run" }).click();
    expect(await page.getByRole("alert").innerText()).toContain("stop it first");
    await page.getByLabel("Name").fill("Round 6");
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/runs\/new/);
    expect(await text(page, ".run-name .tag")).toContain("running");
    await page.getByRole("button", { name: "Mark" }).click();
    await page.getByLabel("What happens now").fill("cache warm");
    await page.getByRole("button", { name: "Set the mark" }).click();
    await page.getByLabel("What happens now").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Add a note" }).click();
    await page.getByLabel("Notes").fill("pool 64");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("pool 64").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator(".run-name .tag", { hasText: "ended" }).waitFor();
    expect(problems).toEqual([]);
  });

  test("a run is deleted only when asked again, by keyboard too, and is gone from the list", async () => {
    const { page, problems } = await open("runs");
    await page.getByLabel("Name").fill("Round 6");
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/runs\/new/);
    await settled(page);
    const ask = page.getByRole("button", { name: "Delete", exact: true });
    await ask.press("Enter");
    const sure = page.getByRole("dialog", { name: "Delete this run?" });
    expect(await sure.innerText()).toContain("Spans stay");
    // The focus is where nothing is lost.
    await page.keyboard.press("Enter");
    await sure.waitFor({ state: "detached" });
    await ask.press("Enter");
    await page.keyboard.press("Escape");
    await sure.waitFor({ state: "detached" });
    expect(await ask.evaluate((button) => button === document.activeElement)).toBe(true);
    // The list of before is at hand at once: the run is not in it, also while the server has not listed them anew.
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(/\/api\/v1\/runs$/, async (route) => {
      await answered;
      await route.continue();
    });
    await ask.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs$/);
    const left = page.getByLabel("Compare Round 5: release 4.2");
    await left.waitFor();
    expect(await page.getByRole("link", { name: "Round 6" }).count()).toBe(0);
    answer();
    await settled(page);
    expect(await page.getByRole("link", { name: "Round 6" }).count()).toBe(0);
    expect(await left.count()).toBe(1);
    expect(problems).toEqual([]);
  });

  /** What the page's export gives in each form, which begins like this. */
  async function exported(page: Page, starts: [string, string, string]): Promise<string[]> {
    const contents: string[] = [];
    for (const [at, name] of ["One HTML file", "Markdown", "JSON"].entries()) {
      await page.getByRole("button", { name: "Export" }).press("Enter");
      const saved = page.waitForEvent("download");
      await page.getByRole("button", { name, exact: true }).press("Enter");
      contents.push(readFileSync(await (await saved).path(), "utf8"));
      expect(contents[at].startsWith(starts[at])).toBe(true);
    }
    return contents;
  }

  test("two runs are picked and compared, and one is exported", async () => {
    const { page, problems } = await open("runs");
    await page.getByLabel("Compare Round 3: no row lock").check();
    await page.getByLabel("Compare Round 2: pool 64").check();
    await page.getByRole("link", { name: "Compare the two" }).click();
    await page.waitForURL((u) => u.searchParams.get("a") === "r2" && u.searchParams.get("b") === "r3");
    await settled(page);
    expect(await text(page, ".verdict-main")).toBe("Worse: 1 operation got worse, 1 better.");
    const rows = page.getByRole("region", { name: "Operations" }).locator("tbody tr");
    expect(await rows.first().innerText()).toContain("Worse");
    expect(await rows.nth(1).innerText()).toContain("Better");
    await rows.first().getByRole("button", { name: "Details" }).click();
    expect(await page.locator("tr.detail tbody tr").last().innerText()).toContain("+0.3 pp");
    await page.getByText("No evidence", { exact: true }).first().click();
    await page.waitForURL(/tab=no_evidence/);
    await page.getByText("The same", { exact: true }).first().click();
    await page.waitForURL(/tab=same/);
    expect(await rows.first().innerText()).toContain("The same");
    const [html, markdown, json] = await exported(page, [
      "<!doctype html>",
      "# Round 2: pool 64 → Round 3: no row lock",
      '{\n  "format": "hotspan.run-comparison"',
    ]);
    expect(html).toContain("Worse: 1 operation got worse, 1 better.");
    expect(markdown).toContain("| order · POST /charge → bank | Worse |");
    expect(JSON.parse(json).operations.length).toBe(4);
    for (const told of [html, markdown, await page.locator("main").innerText()]) {
      expect(told).toContain("4 of 7 operations could be compared (1 had too few calls, 2 only after).");
      expect(told).toContain("only the first 4 of 7 are listed");
      expect(told).toContain("24,000/s → 23,600/s");
    }

    await page.goto(`${url()}runs/r5`);
    await settled(page);
    const saw = page.getByRole("region", { name: "What the load generator saw" }).locator("tbody tr");
    expect(await saw.first().innerText()).toContain("k6 saw");
    expect(await saw.nth(1).innerText()).toContain("hotspan saw");
    expect(await saw.last().innerText()).toContain("transaction");
    for (const text of await exported(page, ["<!doctype html>", "# Round 5", '{\n  "format": "hotspan.run-report"']))
      for (const told of ["UPDATE stock", "POST /orders"]) expect(text).toContain(told);
    expect(problems).toEqual([]);
  });

  test("a run that serves less at the same concurrency is worse, and the page says by how much", async () => {
    const { page, problems } = await open("runs/compare?a=r1&b=r5");
    expect(await text(page, ".verdict-main")).toBe(
      "Worse: at a concurrency of 480 throughput fell by 23 %; 1 operation got worse, 1 better.",
    );
    const levels = page.getByRole("region", { name: "Levels in common" }).locator("tbody tr");
    expect(await levels.count()).toBe(3);
    expect(await levels.first().innerText()).toMatch(/request rate\s+8,000\/s → 8,000\/s\s+160 → 163\s+–/);
    const last = await levels.last().innerText();
    for (const told of ["concurrency", "24,000/s → 18,480/s", "▼ Worse", "−5,520/s", "−6,624/s … −4,416/s", "× 0.77"])
      expect(last).toContain(told);
    const chinese = await open("runs/compare?a=r1&b=r5", { language: "zh" });
    expect(await text(chinese.page, ".verdict-main")).toContain("并发为 480 时吞吐量下降 23 %");
    expect([...problems, ...chinese.problems]).toEqual([]);
  });

  test("a server without runs says so, and the rest of the page stays", async () => {
    const body = { error: { kind: "unimplemented", message: "/api/v1/runs is not built yet", hint: null } };
    const { page } = await open("runs", {}, (p) =>
      p.route("**/api/v1/runs", (r) =>
        r.fulfill({ status: 501, contentType: "application/json", body: JSON.stringify(body) }),
      ),
    );
    expect(await page.getByRole("alert").innerText()).toContain("not built yet");
    expect(await page.getByLabel("Name").count()).toBe(1);
  });
});

describe.runIf(!real)("capacity", () => {
  test("the nearest node to its limit, and which gives way first at a target", async () => {
    const { page, problems } = await open("capacity");
    expect(await text(page, ".verdict-main")).toContain("inventory-db is nearest to its limit");
    await page.getByLabel("Target, requests/s").fill("many");
    expect(await page.getByRole("button", { name: "Apply" }).isDisabled()).toBe(true);
    await page.getByLabel("Target, requests/s").fill("40,000");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.waitForURL((u) => u.searchParams.get("target_qps") === "40000");
    await settled(page);
    expect(await text(page, ".verdict-main")).toContain("At 40,000 requests/s inventory-db gives way first");
    expect(await text(page, ".verdict-why")).toContain("For 2 nodes");
    await page.getByRole("button", { name: "bank" }).click();
    await page.waitForURL(/focus=dependency/);
    expect(await text(page, ".hint")).toContain("let it rise step by step to 137 per second");
    const rules = await page.getByRole("link", { name: "Sentinel rules" }).getAttribute("href");
    expect(rules).toMatch(/api\/v1\/capacity\?.*format=sentinel/);
    expect(problems).toEqual([]);
  });

  test("the law that a limit is taken from is named, and what was served where none is told", async () => {
    const { page, problems } = await open("capacity");
    const law = page.locator(".facts > div").filter({ hasText: /^Law/ });
    expect(await law.innerText()).toMatch(/USL · λ 190\/s/);
    await page.getByRole("button", { name: "order", exact: true }).click();
    await page.waitForURL(/focus=service/);
    expect(await law.innerText()).toMatch(/queue of 64 servers/);
    const catalog = page.getByRole("region", { name: "Nodes" }).locator("tbody tr").filter({ hasText: "catalog" });
    expect(await catalog.innerText()).toMatch(/at least [\d,]+\/s/);
    await catalog.getByRole("button").click();
    const limit = page.locator(".facts > div").filter({ hasText: /^Limit/ });
    await limit.getByText(/at least [\d,]+\/s/).waitFor();
    expect(problems).toEqual([]);
  });

  test("what if without an operation offers the hot spots of the window, each of which fills in the question", async () => {
    const { page, problems } = await open("what-if?service=order");
    await page.getByText("Choose a service and an operation above.").waitFor();
    const spots = page.getByRole("region", { name: "Hot spots to begin with" }).locator("tbody tr");
    const { hotspots, window } = fixture("hotspots");
    expect(await spots.count()).toBe(5);
    expect(await spots.first().innerText()).toContain("54 %");
    await spots.first().getByRole("link", { name: hotspots[0].operation }).press("Enter");
    await page.waitForURL((u) => u.searchParams.get("operation") === hotspots[0].operation);
    await settled(page);
    expect(search(page).get("service")).toBe(hotspots[0].service);
    expect(search(page).get("window_start")).toBe(window.start);
    expect(await page.getByText("If inventory · UPDATE stock were faster by").count()).toBe(1);
    expect(await spots.count()).toBe(0);
    expect(problems).toEqual([]);
  });

  test("what if: a hot spot, made faster, and what each request gains", async () => {
    const { page, problems } = await open("");
    await page.locator(".grid tbody tr").filter({ hasText: "UPDATE stock" }).getByRole("button").click();
    await page.getByRole("link", { name: "What if it were faster" }).click();
    await page.waitForURL(/what-if\?.*UPDATE/);
    await settled(page);
    const first = page.locator(".grid tbody tr").first();
    expect(await first.innerText()).toContain("62 ms");
    await page.getByRole("button", { name: "× 10" }).click();
    await page.waitForURL(/q=10/);
    await page.getByText("39.6 ms").waitFor();
    expect(problems).toEqual([]);
  });
});

describe.runIf(!real)("by keyboard alone", () => {
  test("skip link, rows, heat map, selection, trace, help", async () => {
    const { page } = await open("");
    const press = (key: string) => page.keyboard.press(key);
    await press("Tab");
    expect(await page.evaluate(() => document.activeElement?.className)).toBe("skip");
    await press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
    expect(new URL(page.url()).pathname).toBe("/");

    await press("j");
    await press("j");
    await press("k");
    await press("k");
    await press("Enter");
    await page.locator(".spot-detail").waitFor();
    await press("h");
    await page.waitForURL(/\/heat\?/);
    await settled(page);

    await page.locator(".heat-place").focus();
    const before = search(page).get("sel_min_ns");
    await press("ArrowDown");
    await page.waitForURL((u) => u.searchParams.get("sel_min_ns") !== before);
    await press("Shift+ArrowDown");
    await page.waitForURL((u) => u.searchParams.has("sel_max_ns"));
    await press("Escape");
    await page.waitForURL((u) => !u.searchParams.has("sel_min_ns"));

    await press("g");
    await press("t");
    await page.waitForURL(/\/traces/);
    await settled(page);
    await page.locator(".grid tbody a").first().focus();
    await press("Enter");
    await page.waitForURL(/\/trace\//);
    await settled(page);
    const selected = () => text(page, ".wf-row.selected .wf-op");
    const start = await selected();
    await press("k");
    expect(await selected()).not.toBe(start);
    await press("j");
    expect(await selected()).toBe(start);
    await press("[");
    await press("f");
    expect(await page.locator(".wf-row.selected .wf-critical").count()).toBe(1);
    await press("g");
    await press("p");
    await page.waitForURL(/\/operations/);
    await press("?");
    await page.locator("dialog[open]").waitFor();
    expect(await text(page, "dialog")).toContain("Operations");
    await press("Escape");
    expect(await page.locator("dialog[open]").count()).toBe(0);
  });

  test("Space switches live refresh, but types a blank in a field", async () => {
    const { page } = await open("services");
    await page.locator("main").focus();
    await page.keyboard.press("Space");
    expect(await page.getByRole("switch", { name: "Live" }).getAttribute("aria-checked")).toBe("true");
    await page.keyboard.press("Space");
    expect(await page.getByRole("switch", { name: "Live" }).getAttribute("aria-checked")).toBe("false");
    await page.goto(`${url()}metrics-explorer`);
    await settled(page);
    await page.getByRole("searchbox").pressSequentially("db x");
    expect(await page.getByRole("searchbox").inputValue()).toBe("db x");
    expect(await page.getByRole("switch", { name: "Live" }).getAttribute("aria-checked")).toBe("false");
    await page.goto(`${url()}hidden`);
    await settled(page);
    expect(await page.getByRole("switch", { name: "Live" }).isDisabled()).toBe(true);
  });

  test("what looks at a whole window is refreshed every ten seconds", async () => {
    const { page } = await open("capacity?target_qps=40000");
    const live = page.getByRole("switch", { name: "Live" });
    expect(await live.getAttribute("title")).toBe("Refresh every 10 seconds (Space)");
    const asked: number[] = [];
    page.on("request", (r) => r.url().includes("/api/v1/capacity?") && asked.push(Date.now()));
    await page.locator("main").focus();
    await page.keyboard.press("Space");
    expect(await live.getAttribute("aria-checked")).toBe("true");
    await page.waitForRequest(/\/capacity\?/, { timeout: 15_000 });
    await page.waitForTimeout(2_000);
    expect(asked.length).toBe(1);
  });
});

describe.runIf(!real)("metrics", () => {
  test("the line above the chart says which aggregate was taken, and its last step is cut only where it fills up", async () => {
    const answer = { ...fixture("metrics-series"), type: "SUM", agg: "sum" };
    const of = (agg: string) => JSON.stringify({ ...answer, agg });
    const { page, problems } = await open(
      "metrics-explorer?start=2026-11-22T06:00:00Z&end=2026-11-22T06:14:55Z",
      {},
      (p) =>
        p.route("**/api/v1/metrics/series?*", (r) =>
          r.fulfill({
            contentType: "application/json",
            body: of(new URL(r.request().url()).searchParams.get("agg") ?? "sum"),
          }),
        ),
    );
    expect(await text(page, ".chart-title")).toBe("sum · Unit: connection");
    const last = page
      .getByRole("region", { name: "Series" })
      .locator("tbody tr")
      .filter({ hasText: "order" })
      .locator("td")
      .nth(1);
    const held = await last.innerText();
    await page.getByText("rate", { exact: true }).click();
    await page.waitForURL(/agg=rate/);
    await settled(page);
    expect(await text(page, ".chart-title")).toBe("rate · Unit: connection");
    const { values } = answer.series.find((s: { labels: Record<string, string> }) => s.labels.service_name === "order");
    expect([held, await last.innerText()].map(Number)).toEqual([values.at(-1), values.at(-2)]);
    expect(problems).toEqual([]);
  });
});

describe.runIf(!real)("settings and SQL", () => {
  test("language and theme stay after a reload", async () => {
    const { page } = await open("");
    await page.getByRole("button", { name: "EN", exact: true }).click();
    await page.getByText("中文").click();
    await page.getByText("深色").click();
    expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme])).toEqual([
      "zh-CN",
      "dark",
    ]);
    await page.reload();
    await settled(page);
    expect(await text(page, "nav a[aria-current=page]")).toBe("概览");
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
    expect(await text(page, ".verdict-why")).toContain("行锁");
  });

  test("a statement runs with Ctrl+Enter, lands in the address, and a refused one says why", async () => {
    const { page, problems } = await open("sql");
    await page.locator(".cm-content").click();
    await page.keyboard.type("SELECT name FROM spans");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+Enter");
    await page.waitForURL(/q=SELECT/);
    await page.locator(".result tbody td").first().waitFor();
    expect(await text(page, ".sql-result .note")).toContain("rows in");
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download as CSV" }).click();
    expect((await saved).suggestedFilename()).toBe("hotspan.csv");
    await page.goto(`${url()}sql?q=DROP+TABLE+spans`);
    await page.getByRole("alert").waitFor();
    const said = await page.getByRole("alert").innerText();
    expect(said).toContain("Statements that write are refused");
    expect(said).toContain("only SELECT is answered");
    expect(problems).toEqual([]);
  });
});

test.runIf(!real)("behind a proxy prefix, deep addresses and links stay below it", async () => {
  const { page, problems } = await open(`prefix/trace/${"a".repeat(32)}`);
  await page.locator(".wf-row.selected").waitFor();
  await page.getByRole("link", { name: "SQL" }).click();
  await page.locator(".cm-content").waitFor();
  expect(new URL(page.url()).pathname).toBe("/prefix/sql");
  expect(problems).toEqual([]);
});

describe.runIf(!real)("when things go wrong", () => {
  const failing = (status: number, body: unknown) => (route: Route) =>
    route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });

  test("a failing panel says what failed and leaves the others alone; trying again cures it", async () => {
    let broken = true;
    const { page } = await open("", {}, async (p) => {
      await p.route("**/api/v1/hotspots?*", (route) =>
        broken
          ? failing(422, {
              error: {
                kind: "limit",
                message: "the ranking exceeded 1 GiB of memory",
                hint: "choose a shorter window",
              },
            })(route)
          : route.continue(),
      );
    });
    const alert = page.getByRole("alert").first();
    expect(await alert.innerText()).toContain("The ranking exceeded 1 GiB of memory");
    expect(await alert.innerText()).toContain("choose a shorter window");
    expect(await page.locator(".steps-chart canvas").count()).toBe(2);
    broken = false;
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.locator(".verdict-main").waitFor();
  });

  test("an unreachable server and an unknown trace are told apart", async () => {
    const { page } = await open("services", {}, (p) => p.route("**/api/v1/services?*", (r) => r.abort()));
    expect(await page.getByRole("alert").innerText()).toContain("The server does not answer");
    await page.goto(`${url()}trace/${"0".repeat(32)}`);
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").innerText()).toContain("it may be older than the retention");
  });

  test("a server that is back is found without a click, and one that is gone leaves its last figures", async () => {
    let gone = true;
    const { page } = await open("services", {}, (p) =>
      p.route("**/api/v1/services?*", (route) => (gone ? route.abort() : route.continue())),
    );
    await page.getByRole("alert").waitFor();
    expect(await page.locator(".grid").count()).toBe(0);
    gone = false;
    await page.locator(".grid").waitFor();
    await page.getByRole("switch", { name: "Live" }).click();
    gone = true;
    await page.getByRole("alert").waitFor();
    expect(await page.locator(".grid tbody tr").count()).toBeGreaterThan(0);
  });

  test("a server that wants a token is given one, once, and the page does not keep it", async () => {
    const { page, problems } = await open("guarded/services");
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Unknown bearer token").waitFor();
    await page.getByLabel("Token").fill("s3cret");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator(".grid tbody tr").first().waitFor();
    await page.reload();
    await page.locator(".grid tbody tr").first().waitFor();
    const reachable = await page.evaluate(() =>
      [document.cookie, JSON.stringify(sessionStorage), JSON.stringify(localStorage)].join(" "),
    );
    expect(reachable).not.toContain("s3cret");
    await page.getByRole("button", { name: "EN", exact: true }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(problems).toEqual([]);
  });

  test("before the first span the page says where to send", async () => {
    const status = { ...fixture("status"), tables: [] };
    for (const ledger of [status.ledger, status.ledger_since_creation])
      for (const signal of Object.values(ledger) as Record<string, number>[])
        for (const k of Object.keys(signal)) signal[k] = 0;
    const hot = { ...fixture("hotspots"), verdict: "not_enough_data", hotspots: [], baseline: null };
    hot.window.requests = 0;
    const steps = { ...fixture("steps"), timeline: [], steps: [], baseline_step: null, current_step: null };
    const { page } = await open("", {}, async (p) => {
      await p.route("**/api/v1/status", failing(200, { ...status, reasons: [], insecure: true }));
      await p.route("**/api/v1/hotspots?*", failing(200, hot));
      await p.route("**/api/v1/steps?*", failing(200, steps));
    });
    expect(await text(page, "h1")).toBe("Waiting for the first span");
    expect(await text(page, ".snippet pre")).toContain("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317");
    expect(await text(page, ".banner.warn")).toContain("without authentication");
  });

  test("a range without requests names itself and the filter, and offers the way out", async () => {
    const status = fixture("status");
    for (const k of Object.keys(status.ledger.spans)) status.ledger.spans[k] = 0;
    const hot = { ...fixture("hotspots"), verdict: "not_enough_data", hotspots: [], baseline: null };
    hot.window.requests = 0;
    const steps = { ...fixture("steps"), timeline: [], steps: [], baseline_step: null, current_step: null };
    const { page } = await open("?service=inventory&kind=CLIENT", {}, async (p) => {
      await p.route("**/api/v1/status", failing(200, status));
      await p.route("**/api/v1/hotspots?*", failing(200, hot));
      await p.route("**/api/v1/steps?*", failing(200, steps));
    });
    expect(await text(page, ".verdict-main")).toMatch(
      /^No request in .* the filter: Service inventory, Kind CLIENT\.$/,
    );
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await page.waitForURL((u) => !u.searchParams.has("service") && !u.searchParams.has("kind"));
    expect(await text(page, ".verdict-main")).toMatch(/^No request in [^:]+ .*\.$/);
    await page.getByRole("button", { name: "Last hour" }).click();
    await page.waitForURL((u) => u.searchParams.get("start") === "now-1h");
  });

  test("where only consumers work, what limits them is named", async () => {
    const hot = fixture("hotspots");
    hot.window.requests = 0;
    const { page } = await open("", {}, async (p) => {
      await p.route("**/api/v1/hotspots?*", failing(200, hot));
    });
    const { service, operation } = hot.hotspots[0];
    expect(await text(page, ".verdict-main")).toContain(`${service} · ${operation}`);
  });

  test("services that only call have no trend, and the page stands", async () => {
    const services = fixture("services");
    services.services[0].trend = null;
    const { page, problems } = await open("services", {}, (p) =>
      p.route("**/api/v1/services?*", failing(200, services)),
    );
    expect(await page.locator(".grid tbody tr").count()).toBe(services.services.length);
    expect(await page.locator(".sparkline").count()).toBe(services.services.length - 1);
    expect(problems).toEqual([]);
  });

  test("bounds of traces apply on Enter; what is no duration is marked and told", async () => {
    const { page } = await open("traces");
    const min = page.getByLabel("Min");
    await min.fill("abc");
    await min.press("Enter");
    expect(await min.getAttribute("aria-invalid")).toBe("true");
    expect(await page.getByRole("status").filter({ hasText: "Not a duration" }).count()).toBe(1);
    expect(search(page).has("sel_min_ns")).toBe(false);
    await min.fill("2 min 30 s");
    await min.press("Enter");
    await page.waitForURL((u) => u.searchParams.get("sel_min_ns") === "150000000000");
    await settled(page);
    expect(await min.inputValue()).toBe("2 min 30 s");
    expect(await min.evaluate((input) => input === document.activeElement)).toBe(true);
  });

  test("work that no request waits for is not said to limit the system", async () => {
    const hot = fixture("hotspots");
    hot.hotspots[0] = { ...hot.hotspots[0], off_path: true, share_of_latency: 0 };
    const { page } = await open("", {}, (p) => p.route("**/api/v1/hotspots?*", failing(200, hot)));
    expect(await text(page, ".verdict-main")).toBe("inventory · UPDATE stock falls behind; no request waits for it.");
  });

  test("the banner counts what was lost in the shown range, or says that it cannot know", async () => {
    const status = fixture("status");
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60e3).toISOString();
    const say = (startedAt: string, lastAt: string | null) => {
      const reasons = [{ ...status.reasons[0], last_at: lastAt }];
      return failing(200, { ...status, started_at: startedAt, reasons });
    };
    let now = say(ago(5), ago(1));
    const { page } = await open("services", {}, (p) => p.route("**/api/v1/status", (r) => now(r)));
    expect(await text(page, ".banner.bad")).toContain("37 rows of this time range");
    expect(await text(page, ".banner.bad")).toContain("The last one at");
    now = say(ago(60), ago(1));
    await page.reload();
    expect(await text(page, ".banner.bad")).toContain("not known");
    now = say(ago(60), ago(30));
    await page.reload();
    await settled(page);
    expect(await page.locator(".banner").count()).toBe(0);
    await page.goto(`${url()}services?start=now-1h`);
    expect(await text(page, ".banner.bad")).toContain("37 rows");
    now = failing(200, { ...status, refusing: "the disk has 12 MiB left" });
    await page.reload();
    expect(await text(page, ".banner.bad")).toContain("the disk has 12 MiB left");
  });

  test("the ledger is told since the start and since the store was made", async () => {
    const { page } = await open("health");
    const row = page.locator("table", { hasText: "Received" }).locator("tbody tr").first();
    const status = fixture("status");
    expect(await row.innerText()).toContain(status.ledger.spans.received.toLocaleString("en"));
    await page.getByText("Since the store was made").click();
    await page.waitForURL(/tab=store/);
    expect(await row.innerText()).toContain(status.ledger_since_creation.spans.received.toLocaleString("en"));
    expect(await page.getByText("adds up").count()).toBe(3);
  });

  test("that nothing is deleted by age while the clock is in doubt is told", async () => {
    const status = fixture("status");
    const waiting = (waits: boolean) => (p: Page) =>
      p.route("**/api/v1/status", failing(200, { ...status, retention: { ...status.retention, waits } }));
    const told = "Nothing is deleted by age: the clock is in doubt since it jumped (for an hour at most).";
    const { page } = await open("health", {}, waiting(true));
    expect(await text(page, ".hint")).toBe(told);
    const chinese = await open("health", { language: "zh" }, waiting(true));
    expect(await text(chinese.page, ".hint")).toContain("时钟发生跳变");
    const without = await open("health", {}, waiting(false));
    expect(await without.page.getByText(told).count()).toBe(0);
  });

  test("without a change the verdict is that nothing changed", async () => {
    const { page } = await open("", {}, (p) =>
      p.route("**/api/v1/hotspots?*", failing(200, { ...fixture("hotspots"), verdict: "no_significant_change" })),
    );
    expect(await text(page, ".verdict-main")).toBe("No operation got significantly slower.");
  });

  test("a late answer of an older choice never replaces the newer one", async () => {
    const heat = fixture("heatmap");
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    const { page } = await open("heat", {}, (p) =>
      p.route("**/api/v1/heatmap?*", async (route) => {
        const service = new URL(route.request().url()).searchParams.get("service");
        if (service === "inventory") await held;
        const total = service === "inventory" ? 111 : service === "order" ? 222 : heat.total;
        await failing(200, { ...heat, total })(route).catch(() => {});
      }),
    );
    const service = page.getByRole("combobox", { name: "Service" });
    await service.selectOption("inventory");
    await service.selectOption("order");
    await page.getByText("222 spans", { exact: true }).waitFor();
    release();
    await settled(page);
    expect(await page.getByText("222 spans", { exact: true }).count()).toBe(1);
    expect(await page.getByText("111 spans", { exact: true }).count()).toBe(0);
  });

  test("a trace of 50,000 spans keeps few rows in the page", async () => {
    const { page, problems } = await open(`trace/${"f".repeat(32)}`);
    await page.locator(".wf-row.selected").waitFor();
    expect(await page.locator(".wf-scroll .wf-row").count()).toBeLessThan(80);
    await page.keyboard.press("f");
    await page.keyboard.press("j");
    await page.keyboard.press("+");
    expect(await page.locator(".wf-scroll .wf-row").count()).toBeLessThan(80);
    expect(problems).toEqual([]);
  });
});

describe.runIf(real)("against a real server", () => {
  const pages = [
    "",
    "heat",
    "flame",
    "traces",
    "services",
    "operations",
    "map",
    "metrics-explorer",
    "sql?q=SELECT+1",
    "health",
  ];
  test("every page answers without an error, in both languages", async () => {
    for (const [api, path] of [
      ["runs", "runs"],
      ["capacity", "capacity?target_qps=100"],
    ]) {
      // A server without it says so with 501 (404 for an analysis); then there is nothing to look at.
      const { status } = await fetch(`${url()}api/v1/${api}`);
      if (status !== 501 && status !== 404) pages.push(path);
    }
    for (const language of ["en", "zh"] as const) {
      for (const path of pages) {
        const { page, problems } = await open(path, { language });
        expect([path, await page.getByRole("alert").allInnerTexts()]).toEqual([path, []]);
        expect([path, problems]).toEqual([path, []]);
      }
    }
  });

  test("the first trace of the list opens", async () => {
    const { page, problems } = await open("traces");
    await page.locator(".grid tbody a").first().click();
    await page.waitForURL(/\/trace\//);
    await page.locator(".wf-row.selected").waitFor();
    expect(problems).toEqual([]);
  });
});
