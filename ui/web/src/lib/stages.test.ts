import { expect, test } from "vitest";
import { commonStages, otherWithStage, splitStage, stageIn, stageOf, stageTimes } from "./stages";

const at = (minute: number) => `2026-11-22T06:${String(minute).padStart(2, "0")}:00.500000000Z`;
const mark = (name: string, minute: number) => ({ name, time: at(minute) });

test("a stage goes from its mark to the next, in order of time, and the last to the run's end", () => {
  const marks = [mark("24K", 6), mark("8K", 1), mark("40K", 12)];
  expect(stageTimes({ marks, end_time: at(15) }).map((s) => [s.index, s.key, s.start, s.end])).toEqual([
    [0, "8K", at(1), at(6)],
    [1, "24K", at(6), at(12)],
    [2, "40K", at(12), at(15)],
  ]);
  expect(stageTimes({ marks, end_time: null }).at(-1)?.end).toBeNull();
  expect(stageTimes({ marks: [mark("late", 15)], end_time: at(15) })).toEqual([]);
});

test("stages of the same name are told apart, and RUN@MARK means the first", () => {
  const stages = stageTimes({ marks: [mark("8K", 1), mark("24K", 2), mark("8K", 3)], end_time: at(9) });
  expect(stages.map((s) => [s.key, s.isFirst])).toEqual([
    ["8K", true],
    ["24K", true],
    ["8K (2)", false],
  ]);
});

test("a stage has the figures of its time as a load level has them", () => {
  const [time] = stageTimes({ marks: [mark("24K", 6)], end_time: null });
  const seen = {
    ...{ requests: 1_200, errors: 12, rate: 20, concurrency: 0.6, mean_ns: 30e6 },
    ...{ p50_ns: 28e6, p90_ns: 40e6, p95_ns: 44e6, p99_ns: 90e6, p999_ns: 120e6 },
  };
  const stage = stageOf(time, seen, at(7));
  expect(stage).toMatchObject({ qps: 20, concurrency: 0.6, requests: 1_200, errors: 12, p99_ns: 90e6, p999_ns: 120e6 });
  expect([stage.start, stage.end, stage.goesOn]).toEqual([at(6), at(7), true]);
  // Of one that goes on the end moves, and the address still means it.
  expect(stageIn([stage], { start: at(6), end: at(9) })).toBe(stage);
  expect(stageIn([{ ...stage, goesOn: false }], { start: at(6), end: at(9) })).toBeNull();
  expect(stageIn([stage], { start: at(5), end: at(7) })).toBeNull();
});

test("a chosen stage is its run and its mark, whatever signs either has", () => {
  const runs = [{ id: "r5" }, { id: "a@b" }, { id: "r" }];
  expect(splitStage(runs, "r5@24K@2")).toEqual({ run: runs[0], stage: "24K@2" });
  expect(splitStage(runs, "a@b")).toEqual({ run: runs[1], stage: null });
  expect(splitStage(runs, "a@b@8K")).toEqual({ run: runs[1], stage: "8K" });
  expect(splitStage(runs, "gone@8K")).toBeNull();
});

test("a stage is compared with that of its name in the round before, else in the next", () => {
  const round = (id: string, minute: number, names: string[]) => ({
    ...{ id, name: id, start_time: at(minute), end_time: at(minute + 5) },
    marks: names.map((name) => mark(name, minute)),
  });
  const runs = [round("r3", 30, ["8K"]), round("r1", 10, ["8K", "24K"]), round("r2", 20, ["24K"])];
  expect(otherWithStage(runs, runs[0], "8K")?.id).toBe("r1");
  expect(otherWithStage(runs, runs[1], "8K")?.id).toBe("r3");
  expect(otherWithStage(runs, runs[2], "24K")?.id).toBe("r1");
  expect(otherWithStage(runs, runs[2], "40K")).toBeNull();
  expect(commonStages(runs[1], runs[0])).toEqual(["8K"]);
});
