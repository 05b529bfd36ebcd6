// A field for a duration. Text that is none is marked, and said so below what is typed.

import { useId } from "react";
import { useText } from "../i18n";
import { isDuration } from "../lib/format";

export interface DurationFieldProps {
  label: string;
  text: string;
  placeholder?: string;
  change(text: string): void;
  leave?(): void;
}

export function DurationField({ label, text, placeholder, change, leave }: DurationFieldProps) {
  const { t } = useText();
  const id = useId();
  const wrong = !isDuration(text);
  return (
    <label>
      {label}
      <input
        value={text}
        size={8}
        placeholder={placeholder}
        spellCheck={false}
        aria-invalid={wrong}
        aria-describedby={wrong ? id : undefined}
        onChange={(e) => change(e.target.value)}
        onBlur={leave}
      />
      {wrong && (
        <span className="bad-text" id={id} role="status">
          {t("duration.invalid")}
        </span>
      )}
    </label>
  );
}
