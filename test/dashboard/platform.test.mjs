// The same against the real platform: a function that runs, requests that are counted,
// its log, a split that `kn-lite` sees, and one that it changes itself.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openPage, startBrowser, until } from './browser.mjs';

const home = mkdtempSync(join(tmpdir(), 'kn-lite-dashboard-'));
// The standard library need not be compiled again.
const GOCACHE = execFileSync('go', ['env', 'GOCACHE'], { encoding: 'utf8' }).trim();
const env = { ...process.env, GOCACHE, XDG_STATE_HOME: join(home, 'state'), XDG_CACHE_HOME: join(home, 'cache'), XDG_CONFIG_HOME: join(home, 'config'), KUBECONFIG: join(home, 'kubeconfig') };
let browser;

// kn runs kn-lite, and answers with what it printed and its exit code.
function kn(cwd, ...args) {
  return new Promise((resolve) => {
    execFile(process.env.KN_LITE, args, { cwd, env, timeout: 120000 }, (error, out, err) => resolve({ code: error ? error.code : 0, out: out.trim(), err }));
  });
}

async function must(cwd, ...args) {
  const { code, out, err } = await kn(cwd, ...args);
  assert.equal(code, 0, `kn-lite ${args.join(' ')}: ${code}\n${err}`);
  return out;
}

before(async () => { browser = await startBrowser(); });
after(async () => {
  await browser?.close();
  await kn(home, 'local', 'down', '--purge');
  rmSync(home, { recursive: true, force: true });
});

test('the dashboard and local top of a platform that runs', async () => {
  for (const command of ['top', 'dashboard']) assert.equal((await kn(home, 'local', command)).code, 5, `local ${command} without a platform`);
  await must(home, 'local', 'up', '-d', '--port', '0', '--api-port', '0');
  const page = await openPage(browser, { url: await must(home, 'local', 'dashboard') });
  await until(page, 'nothing yet', () => !document.querySelector('#empty').hidden);
  await must(home, 'func', 'create', 'hello', '-l', 'go');
  const hello = join(home, 'hello');
  await must(hello, 'deploy');
  await until(page, 'the service', () => document.querySelector('#name').textContent === 'hello' && document.querySelector('#ready').textContent === 'Ready');
  await must(hello, 'deploy', '--env', 'NEXT=1');
  const share = (text) => until(page, text, (wanted) => document.querySelector('#bar').getAttribute('aria-label') === wanted, text);
  await share('hello-v2 100 %');

  await page.click('#edit');
  await page.keyboard.type('70');
  await page.click('#shares li:nth-child(2) button');
  await page.click('#apply');
  await share('hello-v2 70 %, hello-v1 30 %');
  assert.match(await must(hello, 'traffic', 'show'), /hello-v2 .* 70 %[^]*hello-v1 .* 30 %|hello-v1 .* 30 %[^]*hello-v2 .* 70 %/);
  await must(hello, 'traffic', 'split', 'v1=50', 'v2=50');
  await share('hello-v2 50 %, hello-v1 50 %');

  const address = new URL(page.url());
  const send = () => new Promise((resolve, reject) => {
    request({ host: address.hostname, port: address.port, headers: { Host: `hello.default.localhost:${address.port}` } }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    }).on('error', reject).end();
  });
  for (let i = 0; i < 100; i++) assert.equal(await send(), 200);
  await until(page, 'the requests', () => [...document.querySelectorAll('#revisions [data-label=Requests]')].reduce((sum, e) => sum + Number(e.textContent), 0) >= 100);
  await until(page, 'instances', () => document.querySelector('#instances').textContent === '2');
  await until(page, 'the log', () => document.querySelector('#log').textContent.includes('listening'));

  assert.match(await must(home, 'local', 'top'), /hello\s+hello-v2\s+50 %\s+Ready\s+1\s/);
  const state = JSON.parse(await must(home, 'local', 'top', '-o', 'json'));
  assert.deepEqual([state.kind, state.services[0].revisions.map((r) => r.percent), state.instances], ['LocalState', [50, 50], 2]);

  const started = Date.now();
  await must(home, 'local', 'down');
  assert.ok(Date.now() - started < 5000, 'an open dashboard holds up the end of the platform');
  await until(page, 'it is lost', () => document.querySelector('#connection').dataset.state === 'lost');
});
