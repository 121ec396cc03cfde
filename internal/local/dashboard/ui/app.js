// The page: which service is chosen, the list, and what the parts show of it.
import { $, attribute, count, element, keyed, rate, show, text, visible } from './dom.js';
import { keyOf, Live, serving, sharesOf } from './live.js';
import { Detail, shortName, tone } from './detail.js';
import { announce } from './announce.js';

const pageSize = 100; // services in the list, until more are asked for

const live = new Live();
const detail = new Detail(live);
let shown = pageSize;
let chosenBefore = null;
let readyBefore = null;

function chosen() {
  const [, namespace, name] = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash) ?? [];
  return name ? decode(namespace) + '/' + decode(name) : null;
}

function decode(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

const addressOf = (s) => '#/' + encodeURIComponent(s.namespace) + '/' + encodeURIComponent(s.name);

function matches(service, words, only) {
  if (only === 'trouble' && service.ready === 'True') return false;
  if (only === 'awake' && !service.revisions.some((r) => r.pods?.length)) return false;
  const where = (service.namespace + '/' + service.name).toLowerCase();
  return words.every((w) => where.includes(w));
}

function render() {
  const all = [...live.services.values()].sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
  show($('empty'), live.state !== 'connecting' && all.length === 0);
  show($('work'), all.length > 0);
  text($('totals'), all.length ? `${count(all.length, 'service')}, ${count(live.instances, 'instance')}` : '');
  const words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((s) => matches(s, words, $('only').value));
  text($('found'), found.length === all.length ? '' : found.length ? `${found.length} of ${all.length}` : 'No service matches.');
  const several = all.some((s) => s.namespace !== all[0].namespace);
  keyed($('services'), found.slice(0, shown), keyOf, makeItem, (li, s) => updateItem(li, s, several));
  show($('more'), found.length > shown);
  text($('more'), `Show ${Math.min(pageSize, found.length - shown)} more of ${found.length - shown}`);
  renderDetail(all);
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function makeItem(s) {
  const a = element('a', { href: addressOf(s) },
    element('span', { class: 'dot', 'aria-hidden': 'true' }), element('span', { class: 'who' }), element('span', { class: 'state' }),
    element('span', { class: 'mini', 'aria-hidden': 'true' }), element('span', { class: 'about' }));
  return element('li', {}, a);
}

function updateItem(li, s, withNamespace) {
  const a = li.firstElementChild;
  const [dot, who, state, mini, about] = a.children;
  const key = keyOf(s);
  attribute(a, 'aria-current', key === chosen() ? 'page' : null);
  attribute(dot, 'data-tone', tone(s.ready));
  text(who, s.name);
  text(state, s.ready === 'True' ? '' : s.ready === 'False' ? 'not ready' : 'starting');
  const shares = sharesOf(s);
  keyed(mini, shares, (t) => t.revision, () => element('i'), (i, t) => {
    i.className = shortName(t.revision).colour;
    i.style.flexGrow = t.percent;
  });
  const instances = s.revisions.reduce((sum, r) => sum + serving(r), 0);
  const others = s.revisions.flatMap((r) => r.pods ?? []).filter((p) => p.state !== 'Serving');
  const starting = others.filter((p) => p.state === 'Starting').length;
  const failing = others.filter((p) => !['Starting', 'Stopping'].includes(p.state)).length;
  const perSecond = live.rate(key);
  text(about, [withNamespace ? s.namespace : '', instances ? count(instances, 'instance') : starting + failing ? '' : 'at zero',
    starting ? `${starting} starting` : '', failing ? `${failing} failing` : '', perSecond ? rate(perSecond) + ' req/s' : ''].filter(Boolean).join(' · '));
}

function renderDetail(all) {
  let key = chosen();
  // On a wide screen there is place for a service beside the list: the first one.
  if (!key && all.length && matchMedia('(min-width: 56rem)').matches) {
    history.replaceState(null, '', addressOf(all[0]));
    key = chosen();
  }
  const service = live.services.get(key);
  document.body.dataset.view = key ? 'detail' : 'list';
  document.title = service ? visible(service.name) + ' · kn-lite' : 'kn-lite';
  if (key && key === chosenBefore && readyBefore !== null && readyBefore !== (service?.ready ?? 'gone')) {
    announce(service ? `${service.name} is ${service.ready === 'True' ? 'ready' : 'not ready' + (service.reason ? ': ' + service.reason : '')}` : `${key} was deleted`);
  }
  chosenBefore = key;
  readyBefore = key ? service?.ready ?? 'gone' : null;
  show($('nothing'), !service);
  text($('nothing'), key ? `There is no service ${key}.` : 'Choose a service.');
  detail.show(service);
}

function connection() {
  const lost = live.state !== 'live';
  document.body.dataset.connection = live.state;
  attribute($('connection'), 'data-state', live.state);
  text($('connection-text'), {
    live: 'Live',
    connecting: 'Connecting …',
    lost: 'Connection lost. Trying again …',
    out: 'Not signed in any longer. Run kn-lite local dashboard, and open the address that it prints.',
  }[live.state]);
  if (lost || connection.wasLost) announce(lost ? $('connection-text').textContent : 'Connected again');
  connection.wasLost = lost;
  render();
}

live.addEventListener('change', render);
live.addEventListener('connection', connection);
live.addEventListener('tick', () => detail.tick());
for (const id of ['filter', 'only']) {
  $(id).addEventListener('input', () => { shown = pageSize; render(); });
}
$('filter').addEventListener('keydown', (e) => {
  if (e.key === 'Escape') { e.target.value = ''; render(); }
  if (e.key === 'ArrowDown') { e.preventDefault(); $('services').querySelector('a')?.focus(); }
});
$('services').addEventListener('keydown', (e) => {
  const item = e.target.closest('li');
  const next = { ArrowDown: item?.nextElementSibling, ArrowUp: item?.previousElementSibling }[e.key];
  if (e.key === 'ArrowUp' && item && !next) $('filter').focus();
  next?.firstElementChild.focus();
  if (e.key === 'ArrowDown' || e.key === 'ArrowUp') e.preventDefault();
});
$('more').addEventListener('click', () => {
  const last = $('services').lastElementChild;
  shown += pageSize;
  render();
  last?.nextElementSibling?.firstElementChild.focus();
});
document.querySelector('[data-skip]').addEventListener('click', (e) => {
  e.preventDefault();
  $('detail').focus();
});
window.addEventListener('hashchange', () => {
  const from = chosenBefore;
  render();
  // The list was left, or is there again: on a narrow screen what had the focus is gone.
  if (!chosen() && from) $('services').querySelector(`a[href="${CSS.escape('#/')}"]`)?.focus();
  scrollTo(0, 0);
});
live.start();
render();
