// A service's operation, with a line of detail below it: the same in every table.

import { Link } from "wouter";
import { ServiceName } from "./service-name";

export interface OperationNameProps {
  service: string;
  operation: string;
  /** What narrows it down, e.g. what it talks to. */
  below?: string | null;
  /** Where its name leads. */
  href?: string;
}

export function OperationName({ service, operation, below, href }: OperationNameProps) {
  return (
    <span className="two-lines">
      <span>
        <ServiceName name={service} />{" "}
        {href ? (
          <Link className="op" href={href}>
            {operation}
          </Link>
        ) : (
          <span className="op">{operation}</span>
        )}
      </span>
      {below && <span className="dim">{below}</span>}
    </span>
  );
}

export function peerOf({ peer }: { peer: string | null }): string | null {
  return peer && `→ ${peer}`;
}
