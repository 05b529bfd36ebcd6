// The service map: who calls whom, an edge as wide as its share of the requests' time.

import dagre from "@dagrejs/dagre";
import { type RefObject, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import type { MapEdge, MapNode, ServiceMapAnswer } from "../api/types";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import {
  type Boxes,
  edgePath,
  edgeWidth,
  gapOf,
  hottest,
  NARROW,
  needsNarrow,
  type Point,
  scaleOf,
  scrolledTo,
  visibleNodes,
  WIDE,
} from "../lib/graph";
import { Nothing } from "../parts/nothing";
import { Panel } from "../parts/panel";
import { ShareBar, Table } from "../parts/table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";

const HEIGHT = 54;

export default function ServiceMap() {
  const { t } = useText();
  const { scope, change } = useScope();
  const answer = useAnswer<ServiceMapAnswer>("service-map", windowParams(scope), { live: true });
  return (
    <div className="page">
      <h1>{t("page.map")}</h1>
      <Panel
        title={t("page.map")}
        note={t("map.note")}
        answer={answer}
        minHeight={320}
        timed
        actions={
          scope.focus && (
            <button type="button" onClick={() => change({ focus: "" })}>
              {t("map.all")}
            </button>
          )
        }
      >
        {answer.data && answer.data.nodes.length > 0 ? <Drawing answer={answer.data} /> : <Nothing />}
      </Panel>
      {answer.data && answer.data.edges.length > 0 && (
        <Panel title={t("map.calls")} flush>
          <Edges answer={answer.data} />
        </Panel>
      )}
    </div>
  );
}

interface Placed {
  nodes: (MapNode & { x: number; y: number })[];
  edges: (MapEdge & { path: string })[];
  boxes: Boxes;
  width: number;
  height: number;
}

function place(answer: ServiceMapAnswer, around: string, boxes: Boxes): Placed {
  const visible = visibleNodes(
    answer.nodes.map((n) => n.id),
    answer.edges,
    around,
  );
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 22, ranksep: boxes.gap, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  const nodes = answer.nodes.filter((n) => visible.has(n.id));
  for (const n of nodes) graph.setNode(n.id, { width: boxes.width, height: HEIGHT });
  const edges = answer.edges.filter((e) => visible.has(e.from) && visible.has(e.to) && e.from !== e.to);
  for (const e of edges) graph.setEdge(e.from, e.to);
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const columns = [...new Set(nodes.map((n) => graph.node(n.id).x as number))];
  return {
    nodes: nodes.map((n) => ({ ...n, x: graph.node(n.id).x as number, y: graph.node(n.id).y as number })),
    edges: edges.map((e) => {
      const turns = graph.edge(e.from, e.to).points as Point[];
      return { ...e, path: edgePath(graph.node(e.from), graph.node(e.to), boxes.width, turns, columns) };
    }),
    boxes,
    width,
    height,
  };
}

function Drawing({ answer }: { answer: ServiceMapAnswer }) {
  const { t, word } = useText();
  const { scope, change } = useScope();
  const region = useRef<HTMLDivElement>(null);
  const room = useRoom(region);
  const placed = useMemo(() => {
    const wide = place(answer, scope.focus, WIDE);
    return needsNarrow(wide.width, room) ? place(answer, scope.focus, NARROW) : wide;
  }, [answer, scope.focus, room]);
  const scale = scaleOf(placed.width, room);
  const shown = placed.nodes.map((n) => n.id).join("\u0000");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other nodes or another room, not each refresh, may scroll
  useLayoutEffect(() => {
    const hot = hottest(placed.nodes);
    if (!region.current || !hot) return;
    region.current.scrollLeft = scrolledTo(hot.x * scale, region.current.clientWidth, placed.width * scale);
    region.current.scrollTop = scrolledTo(hot.y * scale, region.current.clientHeight, placed.height * scale);
  }, [shown, room]);
  const { boxes } = placed;
  const summary = t("map.summary", { n: answer.nodes.length, m: answer.edges.length });
  const hidden = answer.nodes.length - placed.nodes.length;
  return (
    <>
      {hidden > 0 && <p className="hint">{t("map.hidden", { n: hidden })}</p>}
      <div className="map" ref={region} tabIndex={0} role="region" aria-label={summary}>
        <svg
          style={{ width: placed.width * scale }}
          viewBox={`0 0 ${placed.width} ${placed.height}`}
          role="group"
          aria-label={summary}
        >
          <defs>
            <marker
              id="arrow"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path d="M0,0L8,4L0,8z" />
            </marker>
          </defs>
          {placed.edges.map((e) => (
            <path
              key={`${e.from}>${e.to}`}
              className={e.errors / Math.max(1, e.calls) > 0.01 ? "map-edge failing" : "map-edge"}
              d={e.path}
              strokeWidth={edgeWidth(e.critical_share)}
              markerEnd="url(#arrow)"
            />
          ))}
          {placed.nodes.map((n) => (
            <g
              key={n.id}
              className={`map-node ${n.type} ${n.error_rate > 0.01 ? "failing" : ""}`}
              transform={`translate(${n.x - boxes.width / 2},${n.y - HEIGHT / 2})`}
              role="button"
              tabIndex={0}
              aria-pressed={scope.focus === n.id}
              onClick={() => change({ focus: scope.focus === n.id ? "" : n.id })}
              onKeyDown={(e) => e.key === "Enter" && change({ focus: scope.focus === n.id ? "" : n.id })}
            >
              <title>
                {t("map.node", {
                  name:
                    n.type === "service" ? n.name : t("text.aside", { text: n.name, aside: word("nodetype", n.type) }),
                  rate: number(n.rate),
                  p99: duration(n.p99_ns),
                  share: percent(n.critical_share),
                })}
              </title>
              <rect width={boxes.width} height={HEIGHT} rx={n.type === "service" ? 4 : 14} />
              <rect
                className="map-share"
                y={HEIGHT - 4}
                x={6}
                width={(boxes.width - 12) * Math.min(1, n.critical_share)}
                height={3}
              />
              <text x={10} y={20} className="map-name">
                {clip(n.name, boxes.letters)}
              </text>
              <text x={10} y={38} className="map-figures">
                {n.type === "service" || boxes === NARROW ? "" : `${word("nodetype", n.type)} · `}
                {number(n.rate)}/s · p99 {duration(n.p99_ns)}
              </text>
            </g>
          ))}
        </svg>
      </div>
    </>
  );
}

/** How wide an element is inside. What is chosen for it may bring a bar at its side, which takes room but gives none back. */
function useRoom(element: RefObject<HTMLElement | null>): number {
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const at = element.current;
    if (!at) return;
    let outer = 0;
    const measure = () => {
      const [before, now] = [outer, at.clientWidth];
      outer = at.offsetWidth;
      setRoom((room) => (outer === before ? Math.min(room, now) : now));
    };
    measure();
    const watcher = new ResizeObserver(measure);
    watcher.observe(at);
    return () => watcher.disconnect();
  }, [element]);
  return room;
}

function clip(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function Edges({ answer }: { answer: ServiceMapAnswer }) {
  const { t } = useText();
  const { scope, link } = useScope();
  const order = useOrder({ column: "share", descending: true });
  const nameOf = new Map(answer.nodes.map((n) => [n.id, n]));
  const name = (id: string) => {
    const node = nameOf.get(id);
    return node?.type === "service" ? (
      <Link href={link("/operations", { service: node.name })}>{node.name}</Link>
    ) : (
      (node?.name ?? id)
    );
  };
  return (
    <Table
      caption={t("map.calls")}
      rows={answer.edges.filter((e) => !scope.focus || e.from === scope.focus || e.to === scope.focus)}
      rowKey={(e) => `${e.from}>${e.to}`}
      {...order}
      columns={[
        { id: "from", title: t("map.from"), value: (e) => e.from, cell: (e) => name(e.from) },
        { id: "to", title: t("map.to"), value: (e) => e.to, cell: (e) => name(e.to) },
        {
          id: "share",
          title: t("col.criticalshare"),
          doc: t("col.criticalshare.doc"),
          value: (e) => e.critical_share,
          cell: (e) => <ShareBar share={e.critical_share} label={percent(e.critical_share)} />,
        },
        { id: "rate", title: t("col.rate"), numeric: true, value: (e) => e.rate, cell: (e) => `${number(e.rate)}/s` },
        { id: "calls", title: t("map.count"), numeric: true, value: (e) => e.calls, cell: (e) => count(e.calls) },
        {
          id: "errors",
          title: t("col.errors"),
          numeric: true,
          value: (e) => e.errors / Math.max(1, e.calls),
          cell: (e) => percent(e.errors / Math.max(1, e.calls)),
        },
        { id: "p50", title: "p50", numeric: true, value: (e) => e.p50_ns, cell: (e) => duration(e.p50_ns) },
        { id: "p99", title: "p99", numeric: true, value: (e) => e.p99_ns, cell: (e) => duration(e.p99_ns) },
        {
          id: "gap",
          title: t("map.gap"),
          doc: t("map.gap.doc"),
          numeric: true,
          value: (e) => gapOf(e),
          cell: (e) => duration(gapOf(e)),
        },
      ]}
    />
  );
}
