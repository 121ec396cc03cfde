'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { start } = require('faas-js-runtime');
const func = require('..');

// The function behind the server that runs it in the cluster.
test('answers over HTTP', async () => {
  const server = await start(func, { port: await freePort(), logLevel: 'silent' });
  try {
    const url = `http://localhost:${server.address().port}`;

    const get = await fetch(`${url}/?name=Ada`);
    assert.equal(get.status, 200);
    assert.equal(await get.text(), 'Hello, Ada!\n');

    const post = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Grace' }),
    });
    assert.equal(await post.text(), 'Hello, Grace!\n');

    assert.equal(await readiness(url), 200);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

// The runtime answers 503 while its event loop is held up, as on a busy machine,
// and 200 as soon as it is not.
async function readiness(url) {
  let status;
  for (let tries = 0; tries < 100 && status !== 200; tries += 1) {
    if (tries > 0) await setTimeout(100);
    ({ status } = await fetch(`${url}/health/readiness`));
  }
  return status;
}

async function freePort() {
  const probe = require('node:net').createServer().listen(0);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
