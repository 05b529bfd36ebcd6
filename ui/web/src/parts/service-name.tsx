// A service's name with its colour: the same everywhere.

import { serviceColor } from "../lib/palette";

export function ServiceName({ name }: { name: string }) {
  return (
    <span className="service-name">
      <i style={{ background: serviceColor(name) }} aria-hidden="true" />
      {name || "–"}
    </span>
  );
}
