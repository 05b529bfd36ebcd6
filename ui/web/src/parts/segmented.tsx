// One choice of a few, as a row of radio buttons that look like one control.

import { type ReactNode, useId } from "react";

export interface SegmentedProps<T extends string> {
  name: string;
  value: T;
  options: readonly { value: NoInfer<T>; label: ReactNode }[];
  onChange(value: NoInfer<T>): void;
}

export function Segmented<T extends string>({ name, value, options, onChange }: SegmentedProps<T>) {
  const group = useId();
  return (
    <fieldset className="segmented">
      <legend className="sr-only">{name}</legend>
      {options.map((o) => (
        <label key={o.value} className={o.value === value ? "on" : undefined}>
          <input type="radio" name={group} checked={o.value === value} onChange={() => onChange(o.value)} />
          {o.label}
        </label>
      ))}
    </fieldset>
  );
}
