// The load levels that two runs have in common: by what they were matched, and the throughput where that is no load.

import { useText } from "../i18n";
import { chance, type MatchedLoad, ratio, ratioText, signed } from "../lib/comparison";
import { number } from "../lib/format";
import { Interval, OutcomeTag, tone } from "./run-diff-table";
import { Table } from "./table";

export function RunDiffLevels({ matched }: { matched: readonly MatchedLoad[] }) {
  const { t, word } = useText();
  return (
    <Table
      caption={t("compare.levels")}
      rows={matched}
      rowKey={(m) => `${m.matched_by} ${m.qps_a} ${m.qps_b}`}
      columns={[
        { id: "by", title: t("compare.matched"), cell: (m) => word("matchedby", m.matched_by) },
        {
          id: "rate",
          title: t("col.rate"),
          numeric: true,
          cell: (m) => both(`${number(m.qps_a)}/s`, `${number(m.qps_b)}/s`),
        },
        {
          id: "concurrency",
          title: t("capacity.concurrency"),
          numeric: true,
          cell: (m) => both(number(m.concurrency_a), number(m.concurrency_b)),
        },
        {
          id: "throughput",
          title: t("compare.throughput"),
          doc: t("compare.throughput.doc"),
          cell: ({ throughput: of }) => (of ? <OutcomeTag outcome={of.outcome} lessIsWorse /> : "–"),
        },
        {
          id: "change",
          title: t("col.change"),
          doc: t("compare.interval"),
          numeric: true,
          cell: ({ throughput: of }) =>
            of ? (
              <span className="two-lines">
                <span className={tone(of.outcome)}>{signed(of.measure, of.change)}</span>
                <Interval of={of} />
              </span>
            ) : (
              "–"
            ),
        },
        {
          id: "ratio",
          title: t("compare.ratio"),
          numeric: true,
          cell: ({ throughput: of }) => (of ? ratioText(ratio(of)) : "–"),
        },
        {
          id: "q",
          title: t("compare.q"),
          doc: t("compare.q.doc"),
          numeric: true,
          cell: ({ throughput: of }) => (of ? chance(of.q) : "–"),
        },
      ]}
    />
  );
}

/** Before and after. */
function both(a: string, b: string): string {
  return `${a} → ${b}`;
}
