// k6 run -e PORT=PORT --new-machine-readable-summary --summary-export=k6-structured.json shop.js
import http from 'k6/http';
import { check } from 'k6';

export const options = {
  vus: 2,
  iterations: 10,
  thresholds: { 'http_req_duration{name:checkout}': ['p(95)<600'] },
};

const base = `http://127.0.0.1:${__ENV.PORT}`;

export default function () {
  const home = http.get(`${base}/`, { tags: { name: 'home' } });
  check(home, { 'is there': (response) => response.status === 200 });
  http.post(`${base}/slow`, '{}', { tags: { name: 'checkout' } });
  if (__ITER % 5 === 0) http.get(`${base}/fail`, { tags: { name: 'fail' } });
}
