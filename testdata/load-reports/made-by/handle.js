// k6 run -e PORT=PORT --new-machine-readable-summary --summary-trend-stats 'avg,med,max,p(99)' handle.js
export { default, options } from './shop.js';

export function handleSummary(data) {
  return { 'k6-structured-handle-summary.json': JSON.stringify(data) };
}
