import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudEvent } from 'cloudevents';
import { Context } from 'faas-js-runtime';
import { handle } from '../src/index';

const context = {} as Context;
const incoming = (data?: { name: string }) => new CloudEvent<{ name?: string }>({ type: 'greet', source: '/test', data });

test('greets the world', async () => {
  const answer = await handle(context, incoming());
  assert.ok(answer instanceof CloudEvent);
  assert.equal(answer.type, 'function.greeted');
  assert.deepEqual(answer.data, { message: 'Hello, World!' });
});

test('greets by name', async () => {
  const answer = await handle(context, incoming({ name: 'Ada' }));
  assert.ok(answer instanceof CloudEvent);
  assert.deepEqual(answer.data, { message: 'Hello, Ada!' });
});

test('refuses what is no event', async () => {
  const answer = await handle(context);
  assert.ok(!(answer instanceof CloudEvent));
  assert.equal(answer.statusCode, 400);
});
