// What the tests share: a stand-in for the platform, a browser, and a page of it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

export async function startStandin(port = '0') {
  const child = spawn(process.env.STANDIN ?? 'bin/standin', [port], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    new Promise((resolve) => { lines.once('line', (l) => resolve([l])); }),
    new Promise((_, reject) => { child.once('exit', (code) => reject(new Error(`the stand-in ended with ${code}`))); }),
  ]);
  const standin = JSON.parse(line);
  standin.do = async (command, body) => {
    const answer = await fetch(`${standin.control}/${command}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${command}: ${await answer.text()}`);
  };
  standin.stop = () => new Promise((resolve) => { child.removeAllListeners('exit'); child.once('exit', resolve); child.kill('SIGKILL'); });
  return standin;
}

export function startBrowser() {
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // As root there is no sandbox, and a container's /dev/shm is small.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb', '--lang=en'],
  });
}

// openPage opens the dashboard as its user does, in a browser of its own, and notes
// everything that the page complains about.
export async function openPage(browser, standin, { width = 1280, height = 900, dark = false, at = '' } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (e) => page.complaints.push(String(e)));
  page.on('console', (m) => { if (['error', 'warn'].includes(m.type())) page.complaints.push(m.text()); });
  page.on('dialog', (d) => { page.complaints.push('a dialog: ' + d.message()); d.dismiss(); });
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
  await page.goto(standin.url + at, { waitUntil: 'load' });
  await page.waitForSelector('#connection[data-state=live]', { timeout: 10000 });
  return page;
}

// until waits for something to be so, and says what it was instead.
export async function until(page, what, check, ...args) {
  try {
    await page.waitForFunction(check, { timeout: 10000, polling: 50 }, ...args);
  } catch (e) {
    throw new Error(`${what}: ${e.message}\n${(await page.evaluate(() => document.body.innerText)).slice(0, 2000)}`);
  }
}

export const textOf = (page, selector) => page.$eval(selector, (e) => e.textContent);
