// A button that opens a small panel below itself. Escape and a click elsewhere close it; focus returns to the button.

import { type ReactNode, useEffect, useRef, useState } from "react";

export interface PopoverProps {
  label: ReactNode;
  name: string;
  className?: string;
  align?: "start" | "end";
  children(close: () => void): ReactNode;
}

export function Popover({ label, name, className, align = "start", children }: PopoverProps) {
  const [isOpen, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    const outside = (e: PointerEvent) => {
      if (!frame.current?.contains(e.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen]);
  return (
    <div
      className="popover"
      ref={frame}
      onKeyDown={(e) => {
        if (e.key === "Escape" && isOpen) {
          e.stopPropagation();
          close();
        }
      }}
    >
      <button type="button" ref={button} className={className} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {label}
      </button>
      {isOpen && (
        <div className={`popover-panel ${align}`} role="dialog" aria-label={name}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
