// Holds the door at URL to graphql-http's audit of GraphQL over HTTP: everything passes, recommendations too.
import { serverAudits } from 'graphql-http';

const { URL: url, TOKEN: token } = process.env;
const fetchFn = (target, init = {}) => fetch(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
const audits = serverAudits({ url, fetchFn });
let failed = 0;
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== 'ok') {
    failed++;
    console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}\n${result.response ? await result.response.text().catch(() => '') : ''}`);
  }
}
console.log(`${audits.length - failed} of ${audits.length} audits pass`);
process.exit(failed || audits.length < 50 ? 1 : 0);
