// What a page tells, to take along: a title and blocks, written as Markdown, or as one HTML file that needs nothing else
// and carries its data.

export type Row = string[];

export interface PaperTable {
  head: Row;
  rows: Row[];
}

export type Block =
  | { heading: string }
  | { text: string }
  | { list: string[] }
  | { table: PaperTable }
  /** Markup of our own, in which every text is escaped; Markdown goes without it. */
  | { drawing: string };

export interface Paper {
  /** Of the words: "en", "zh-CN". */
  language: string;
  title: string;
  blocks: Block[];
  /** Where it was made from. */
  source: string;
  /** The same for programs. */
  data: unknown;
}

export function paperJson({ data }: Paper): string {
  return `${JSON.stringify(data, null, 2)}\n`;
}

export function paperMarkdown({ title, blocks, source }: Paper): string {
  const out = [`# ${inMarkdown(title)}`, ""];
  for (const block of blocks) {
    if ("heading" in block) out.push(`## ${inMarkdown(block.heading)}`, "");
    if ("text" in block) out.push(inMarkdown(block.text), "");
    if ("list" in block) out.push(...block.list.map((item) => `- ${inMarkdown(item)}`), "");
    if ("table" in block) out.push(...markdownTable(block.table), "");
  }
  out.push(`<${source}>`, "");
  return out.join("\n");
}

function markdownTable({ head, rows }: PaperTable): string[] {
  const line = (cells: Row) => `| ${cells.map(inMarkdown).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)];
}

/** Text that stays text in Markdown, also inside a table. */
function inMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>|#]/g, (c) => `\\${c}`).replace(/\s+/g, " ");
}

export function paperHtml({ language, title, blocks, source, data }: Paper): string {
  return [
    "<!doctype html>",
    `<html lang="${inHtml(language)}"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width"><title>${inHtml(title)} · hotspan</title>`,
    `<style>${STYLE}</style></head><body>`,
    `<h1>${inHtml(title)}</h1>`,
    ...blocks.map(htmlBlock),
    `<p class="dim">${inHtml(source)}</p>`,
    `<script type="application/json" id="report">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>`,
    "</body></html>",
    "",
  ].join("\n");
}

function htmlBlock(block: Block): string {
  if ("heading" in block) return `<h2>${inHtml(block.heading)}</h2>`;
  if ("text" in block) return `<p>${inHtml(block.text)}</p>`;
  if ("list" in block) return `<ul>${block.list.map((item) => `<li>${inHtml(item)}</li>`).join("")}</ul>`;
  return "table" in block ? htmlTable(block.table) : block.drawing;
}

const STYLE =
  "body{font:14px/1.5 system-ui,sans-serif;margin:32px auto;max-width:1040px;padding:0 16px;color:#17202b}" +
  "table{border-collapse:collapse;width:100%}th,td{padding:4px 8px;border-bottom:1px solid #dde2e8;text-align:left}" +
  "th{font-weight:500;color:#566270}h1{font-size:24px;margin:0 0 8px}h2{font-size:16px;margin:28px 0 6px}" +
  "p{margin:4px 0}ul{margin:4px 0}.dim{color:#566270;margin-top:28px}svg{width:100%;height:auto;margin-top:16px}" +
  "svg text{font:11px system-ui,sans-serif;fill:#566270}@media print{body{margin:0}}";

function htmlTable({ head, rows }: PaperTable): string {
  const cells = (tag: string, row: Row) => row.map((c) => `<${tag}>${inHtml(unbroken(c))}</${tag}>`).join("");
  return [
    "<table><thead><tr>",
    cells("th", head),
    "</tr></thead><tbody>",
    ...rows.map((r) => `<tr>${cells("td", r)}</tr>`),
    "</tbody></table>",
  ].join("");
}

/** A figure and its unit stay on one line. */
function unbroken(text: string): string {
  return text.replace(/(\d) (?=(?:ns|µs|ms|s|min|h|d|pp|%)(?!\w))/g, "$1\u00a0");
}

export function inHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (c) => entities[c]);
}

/** A file name that every system takes. */
export function fileName(name: string, extension: string): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 80);
  return `${plain || "run"}.${extension}`;
}
