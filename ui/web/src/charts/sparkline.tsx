// A row's trend in the height of its text. The figures beside it say the same; it is hidden from screen readers.

export function Sparkline({
  values,
  width = 88,
  height = 18,
}: {
  values: readonly number[] | null;
  width?: number;
  height?: number;
}) {
  if (!values || values.length < 2) return null;
  const top = Math.max(...values, Number.MIN_VALUE);
  const x = (i: number) => 1 + (i / (values.length - 1)) * (width - 2);
  const y = (v: number) => height - 1.5 - (Math.max(0, v) / top) * (height - 3);
  const line = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
  return (
    <svg className="sparkline" width={width} height={height} aria-hidden="true" focusable="false">
      <polygon points={`1,${height - 1} ${line} ${width - 1},${height - 1}`} />
      <polyline points={line} />
    </svg>
  );
}
