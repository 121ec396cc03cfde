import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from 'faas-js-runtime';
import { handle } from '../src/index';

const request = (query: Record<string, string>) => ({ method: 'GET', query }) as unknown as Context;

test('greets the world', async () => {
  const answer = await handle(request({}));
  assert.equal(answer.body, 'Hello, World!\n');
  assert.equal(answer.headers?.['content-type'], 'text/plain; charset=utf-8');
});

test('greets by name, from the query or a JSON body', async () => {
  assert.equal((await handle(request({ name: 'Ada' }))).body, 'Hello, Ada!\n');
  assert.equal((await handle(request({}), { name: 'Ada' })).body, 'Hello, Ada!\n');
});
