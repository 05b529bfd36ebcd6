// A link to one example trace, with its own part of the id as the text.

import { Link } from "wouter";
import { useScope } from "../state/use-scope";

export function ExampleTrace({ id, at }: { id: string; at: { service: string; operation: string } }) {
  const { link } = useScope();
  return (
    <Link href={link(`/trace/${id}`, at)} className="mono">
      {id.slice(-8)}
    </Link>
  );
}
