// Labels of a run as one line of text: "git=4f1c2aa, env=staging".

/** Null when a part is not of the form key=value. */
export function parseLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  for (const part of text.split(/[,，]/)) {
    if (part.trim() === "") continue;
    const at = part.indexOf("=");
    if (at <= 0 || part.slice(0, at).trim() === "") return null;
    labels[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return labels;
}

export function printLabels(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}
