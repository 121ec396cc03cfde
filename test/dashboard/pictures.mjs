// Takes the pictures of docs/images: node test/dashboard/pictures.mjs FOLDER
import { startBrowser, startStandin, openPage, until } from './browser.mjs';

const folder = process.argv[2];
const standin = await startStandin();
const browser = await startBrowser();
try {
  const services = { hello: { 'hello-v1': 40, 'hello-v2': 60 }, orders: { 'orders-v7': 100 }, thumbnails: { 'thumbnails-v3': 100 }, webhook: { 'webhook-v1': 0, 'webhook-v2': 10, 'webhook-v3': 90 } };
  for (const [service, revisions] of Object.entries(services)) await standin.do('service', { service, revisions, tags: service === 'hello' ? { 'hello-v2': 'next' } : {} });
  await standin.do('service', { service: 'invoices', revisions: { 'invoices-v1': 0 }, ready: 'False', reason: 'RevisionFailed', message: 'Revision "invoices-v1" failed with message: Container failed with: Error: Cannot find module \'express\'.' });
  await standin.do('pods', { service: 'invoices', revision: 'invoices-v1', pods: 1, state: 'CrashLoopBackOff', count: 3 });
  await standin.do('pods', { service: 'hello', revision: 'hello-v1', pods: 2 });
  await standin.do('pods', { service: 'hello', revision: 'hello-v2', pods: 3 });
  await standin.do('pods', { service: 'orders', revision: 'orders-v7', pods: 1 });
  await standin.do('pods', { service: 'webhook', revision: 'webhook-v3', pods: 1, state: 'Starting' });
  await standin.do('traffic', { revision: 'orders-v7', perSecond: 6, medianMS: 12 });
  for (let i = 0; i < 9; i++) {
    const at = new Date(Date.UTC(2026, 10, 26, 9, 41, i)).toISOString();
    await standin.do('log', { pod: `hello-v2-deployment-0000${i % 3}`, text: `time=${at} level=INFO msg="GET /" status=200 duration=2.${i}ms\n` });
  }
  const wide = await openPage(browser, standin, { at: '#/default/hello' });
  const seconds = Number(process.env.SECONDS ?? 60);
  for (let i = 0; i < seconds; i++) {
    const wave = 60 + 35 * Math.sin(i / 7) + 12 * Math.sin(i * 1.3);
    await standin.do('traffic', { revision: 'hello-v1', perSecond: wave * 0.4, medianMS: 3.1 });
    await standin.do('traffic', { revision: 'hello-v2', perSecond: wave * 0.6, medianMS: 2.4, failed: i > 40 ? 2 : 0 });
    await new Promise((r) => setTimeout(r, 1000));
  }
  await wide.setViewport({ width: 1280, height: 1180 });
  await wide.screenshot({ path: `${folder}/dashboard-light.png` });
  await wide.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await wide.screenshot({ path: `${folder}/dashboard-dark.png` });
  await wide.click('#edit');
  await wide.screenshot({ path: `${folder}/dashboard-split-dark.png` });
  await wide.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await wide.screenshot({ path: `${folder}/dashboard-split.png` });
  await wide.keyboard.press('Escape');
  await wide.setViewport({ width: 390, height: 844 });
  await wide.evaluate(() => scrollTo(0, 0));
  await wide.screenshot({ path: `${folder}/dashboard-narrow.png`, fullPage: true });
  await wide.evaluate(() => { location.hash = '#/'; });
  await until(wide, 'the list', () => document.body.dataset.view === 'list');
  await wide.screenshot({ path: `${folder}/dashboard-narrow-list.png` });
  await wide.setViewport({ width: 1280, height: 800 });
  await wide.evaluate(() => { location.hash = '#/default/invoices'; });
  await new Promise((r) => setTimeout(r, 500));
  await wide.screenshot({ path: `${folder}/dashboard-trouble.png` });
  console.log('complaints:', wide.complaints);
} finally {
  await browser.close();
  await standin.stop();
}
