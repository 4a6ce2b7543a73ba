// Follows events with the official clients graphql-ws and graphql-sse: backlog, live, on after a cut from the last cursor, and CURSOR_EXPIRED.
// The test behind URL offers /test/append?n=, /test/cut and /test/expire.
import assert from 'node:assert/strict';
import { createClient as createWS } from 'graphql-ws';
import { createClient as createSSE } from 'graphql-sse';
import WebSocket from 'ws';

const { URL: url, TOKEN: token } = process.env;
const authorization = `Bearer ${token}`;
const query = 'subscription($after: String) { eventStream(after: $after) { cursor type payload } }';

const ask = async (text) => {
  const response = await fetch(url, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify({ query: text }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
};
const order = async (what) => assert.equal((await fetch(new URL(`/test/${what}`, url), { method: 'POST' })).status, 200);

const clients = {
  ws: (connected) =>
    createWS({
      url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, connectionParams: { authorization }, retryAttempts: 20, retryWait: async () => {},
      shouldRetry: () => true, on: { connected },
    }),
  sse: (connected) => createSSE({ url, headers: { authorization }, retryAttempts: 20, retry: async () => {}, onMessage: undefined, fetchFn: async (...a) => {
    const response = await fetch(...a);
    connected();
    return response;
  } }),
};

for (const [kind, create] of Object.entries(clients)) {
  await order('append?n=5');
  let connections = 0;
  const client = create(() => connections++);

  // A query is an operation like any other.
  const viewer = await new Promise((resolve, reject) => {
    let result;
    client.subscribe({ query: '{ viewer { permissions } }' }, { next: (r) => (result = r), error: reject, complete: () => resolve(result) });
  });
  assert.ok(viewer.data.viewer.permissions.includes('EVENT_READ'), kind);

  const request = { query, variables: { after: '' } };
  const cursors = [];
  let wanted = () => {};
  let failed = null;
  const stop = client.subscribe(request, {
    next: ({ data, errors }) => {
      failed ??= errors;
      request.variables.after = data.eventStream.cursor; // a new connection begins after what was seen
      cursors.push(data.eventStream.cursor);
      wanted();
    },
    error: (error) => { failed = error; wanted(); },
    complete: () => {},
  });
  const all = async () => (await ask('{ events(first: 1000) { nodes { cursor } } }')).events.nodes.map((n) => n.cursor);
  const caughtUp = async () => {
    const { eventHead } = await ask('{ eventHead }');
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${kind}: nothing came for 30 s after ${cursors.length} events`)), 30_000);
      wanted = () => {
        if (failed || cursors.at(-1) === eventHead) {
          clearTimeout(timer);
          failed ? reject(new Error(`${kind}: ${JSON.stringify(failed)}`)) : resolve();
        }
      };
      wanted();
    });
    assert.deepEqual(cursors, await all(), kind);
  };
  await caughtUp();
  for (let round = 0; round < 5; round++) {
    await order('append?n=7');
    if (round > 1) {
      await order('cut');
      await order('append?n=3');
    }
    await caughtUp();
  }
  assert.ok(connections >= 4, `${kind}: ${connections} connections for 3 cuts`);
  stop();

  // What is no longer kept says so, with the horizon from which events are.
  await order('expire');
  const { events: { horizon } } = await ask('{ events(first: 1) { horizon } }');
  const errors = await new Promise((resolve, reject) => {
    client.subscribe({ query, variables: { after: cursors[0] } }, {
      next: (r) => (r.errors ? resolve(r.errors) : reject(new Error(`${kind}: ${JSON.stringify(r)}`))), error: resolve, complete: () => {},
    });
  });
  assert.equal(errors[0]?.extensions?.code, 'CURSOR_EXPIRED', `${kind}: ${JSON.stringify(errors)}`);
  assert.equal(errors[0].extensions.horizon, horizon, kind);
  client.dispose();
  console.log(`${kind}: ${cursors.length} events over ${connections} connections`);
}
process.exit(0);
