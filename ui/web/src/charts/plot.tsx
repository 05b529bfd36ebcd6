// uPlot inside React: made again when its options change (language, theme, series), fed when only the data does, and as
// wide as its place.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface PlotProps {
  /** Without width and height; must be memoised. */
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  height: number;
  /** The chart in words. */
  summary: string;
}

export function Plot({ options, data, height, summary }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot({ ...options, width: Math.max(200, element.clientWidth), height }, latest.current, element);
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      const width = Math.max(200, element.clientWidth);
      if (width !== made.width) made.setSize({ width, height });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [options, height]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={place} className="plot" role="img" aria-label={summary} style={{ minHeight: height }} />;
}
