'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { handle } = require('..');

test('greets the world', async () => {
  const answer = await handle({ method: 'GET', query: {} });
  assert.equal(answer.body, 'Hello, World!\n');
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
});

test('greets by name, from the query or a JSON body', async () => {
  assert.equal((await handle({ method: 'GET', query: { name: 'Ada' } })).body, 'Hello, Ada!\n');
  assert.equal((await handle({ method: 'POST', query: {} }, { name: 'Ada' })).body, 'Hello, Ada!\n');
});
