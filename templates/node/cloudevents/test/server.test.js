'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { CloudEvent, HTTP } = require('cloudevents');
const { start } = require('faas-js-runtime');
const func = require('..');

// The function behind the server that runs it in the cluster, in both modes that
// an event can come in.
test('answers events over HTTP', async () => {
  const server = await start(func, { port: await freePort(), logLevel: 'silent' });
  try {
    const url = `http://localhost:${server.address().port}`;
    for (const mode of [HTTP.binary, HTTP.structured]) {
      const event = new CloudEvent({ type: 'greet', source: '/test', data: { name: 'Ada' } });
      const { headers, body } = mode(event);
      const response = await fetch(url, { method: 'POST', headers, body });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('ce-type'), 'function.greeted');
      assert.deepEqual(await response.json(), { message: 'Hello, Ada!' });
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

async function freePort() {
  const probe = require('node:net').createServer().listen(0);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
