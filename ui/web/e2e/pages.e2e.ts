// Every page, in light and dark, English and Chinese: no error on the console, no finding of axe, and a screenshot for
// people to look at (e2e/shots, not compared).

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { real, type Stage, settled, stage } from "./browser.ts";

const SHOTS = join(import.meta.dirname ?? "e2e", "shots");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const STOCK = "service=inventory&operation=UPDATE+stock&kind=CLIENT";
const TIMES =
  "window_start=2026-11-22T06:06:20Z&window_end=2026-11-22T06:15:00Z&baseline_start=2026-11-22T06:00:00Z&baseline_end=2026-11-22T06:06:00Z";

const PAGES: Record<string, string> = {
  overview: "",
  heat: `heat?${STOCK}&${TIMES}&sel_start=2026-11-22T06:06:20Z&sel_end=2026-11-22T06:15:00Z&sel_min_ns=60000000`,
  "heat-empty": "heat",
  flame: "flame",
  "flame-bottom-up": "flame?tab=bottom-up&agg=self&group_by=service",
  traces: "traces",
  trace: `trace/0123456789abcdef0123456789abcdef?${STOCK}&${TIMES}`,
  services: "services",
  operations: "operations?service=order",
  map: "map",
  metrics: "metrics-explorer",
  sql: "sql",
  "sql-result": "sql?q=SELECT+service_name,+name,+kind,+count(*)+AS+spans%0AFROM+spans%0AGROUP+BY+1,+2,+3",
  health: "health",
  runs: "runs",
  run: "runs/r5",
  capacity: "capacity?target_qps=40000",
  "what-if": `what-if?${STOCK}`,
  "what-if-empty": "what-if",
  "in-run": "?run=r5&start=2026-11-22T06:00:00Z&end=2026-11-22T06:15:00Z",
  hidden: "hidden",
  queueing: "hidden?tab=queueing&focus=gateway|order",
  amplification: "hidden?tab=amplification",
  statements: "hidden?tab=statements",
  exceptions: "hidden?tab=exceptions",
  logs: "hidden?tab=logs",
  instances: "hidden?tab=instances&focus=slow|inventory|POST+/reserve|SERVER||inventory-7c9f-3",
  "cold-starts": "hidden?tab=starts&focus=instance|payment|",
  "sent-late": "hidden?tab=omission&focus=gateway|POST+/orders",
  "run-compare": "runs/compare?a=r2&b=r3",
};

let on: Stage;
beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true });
  on = await stage();
});
afterAll(() => on.close());

interface Finding {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary: string }[];
}

test.runIf(!real)("no page scrolls sideways on a narrow screen", async () => {
  const { page, context } = await on.open({ width: 390 });
  const wide: string[] = [];
  for (const [name, path] of Object.entries(PAGES)) {
    await page.goto(on.url + path);
    await settled(page);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wide.push(name);
    await page.screenshot({ path: join(SHOTS, `${name}-narrow.png`), fullPage: true });
  }
  await context.close();
  expect(wide).toEqual([]);
});

for (const theme of ["light", "dark"] as const) {
  for (const language of ["en", "zh"] as const) {
    test.runIf(!real)(`all pages in ${theme}, ${language}`, async () => {
      const { page, context, problems } = await on.open({ theme, language });
      const findings: string[] = [];
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(on.url + path);
        await settled(page);
        await page.screenshot({ path: join(SHOTS, `${name}-${theme}-${language}.png`), fullPage: true });
        if (language === "zh" && theme === "dark") continue;
        for (const f of await audit()) findings.push(`${name}: ${f}`);
      }
      await context.close();
      expect(findings).toEqual([]);
      expect(problems).toEqual([]);

      async function audit(): Promise<string[]> {
        // A function of a test reaches the page's own world whatever its security policy says.
        const found = (await page.evaluate(`(() => { ${AXE}; return window.axe.run(document, {
          runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] } }).then((r) => r.violations); })()`)) as Finding[];
        return found.flatMap((v) =>
          v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary.split("\n").at(1)?.trim()}`),
        );
      }
    });
  }
}
