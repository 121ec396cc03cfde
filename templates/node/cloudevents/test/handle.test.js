'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { CloudEvent } = require('cloudevents');
const { handle } = require('..');

const incoming = (data) => new CloudEvent({ type: 'greet', source: '/test', data });

test('greets the world', async () => {
  const answer = await handle({}, incoming());
  assert.equal(answer.type, 'function.greeted');
  assert.deepEqual(answer.data, { message: 'Hello, World!' });
});

test('greets by name', async () => {
  assert.deepEqual((await handle({}, incoming({ name: 'Ada' }))).data, { message: 'Hello, Ada!' });
});

test('refuses what is no event', async () => {
  assert.equal((await handle({}, { name: 'Ada' })).statusCode, 400);
});
