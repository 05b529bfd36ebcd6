// Debian's Chromium through playwright-core, and the address under test: BASE_URL, or the built pages over the fixtures.

import type { Server } from "node:http";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { start } from "./mock.ts";

export const real = process.env.HOTSPAN_URL || null;

export interface Stage {
  url: string;
  browser: Browser;
  open(options?: Look): Promise<{ page: Page; context: BrowserContext; problems: string[] }>;
  close(): Promise<void>;
}

export interface Look {
  language?: "en" | "zh";
  theme?: "light" | "dark";
  width?: number;
}

export async function stage(): Promise<Stage> {
  let server: Server | null = null;
  let url = real ?? "";
  if (!real) ({ server, url } = await start());
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    url: url.endsWith("/") ? url : `${url}/`,
    browser,
    open: async (look = {}) => {
      const context = await browser.newContext({
        viewport: { width: look.width ?? 1440, height: 900 },
        locale: look.language === "zh" ? "zh-CN" : "en-US",
        colorScheme: look.theme ?? "light",
        timezoneId: "Asia/Shanghai",
        reducedMotion: "reduce",
      });
      const page = await context.newPage();
      page.setDefaultTimeout(30_000);
      const problems: string[] = [];
      page.on("pageerror", (e) => problems.push(e.message));
      page.on("console", (m) => {
        if (m.type() === "error" && !/status of [45]\d\d/.test(m.text())) problems.push(m.text());
      });
      return { page, context, problems };
    },
    close: async () => {
      await browser.close();
      server?.close();
    },
  };
}

/** Waits until nothing on the page is loading. */
export async function settled(page: Page) {
  await page.waitForLoadState("networkidle").catch(() => {});
  await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
}

/** Opens pages on one stage for all tests of a file; each is left when its test is over. */
export function pages() {
  let on: Stage;
  let leave: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    on = await stage();
  });
  afterEach(async () => {
    for (const close of leave) await close();
    leave = [];
  });
  afterAll(() => on.close());

  async function open(path: string, look?: Look, prepare?: (page: Page) => Promise<unknown>) {
    const { page, context, problems } = await on.open(look);
    leave.push(() => context.close());
    await prepare?.(page);
    await page.goto(on.url + path);
    await settled(page);
    return { page, problems };
  }
  return { open, url: () => on.url };
}
