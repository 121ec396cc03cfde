// One service: figures, chart, split, revisions with their instances, logs.
import { $, age, attribute, count, duration, element, keyed, rate, show, text, visible } from './dom.js';
import { chartSeconds, keyOf, serving, sharesOf } from './live.js';
import { Split } from './split.js';
import { Logs } from './logs.js';

const newest = 10; // revisions that are shown without asking

export const tone = (ready) => ({ True: 'good', False: 'bad' }[ready] ?? 'wait');

// shortName is what tells a revision from the others of its service, and its colour,
// which stays the same whatever else comes and goes.
export function shortName(revision, service = '') {
  const short = service && revision.startsWith(service + '-') ? revision.slice(service.length + 1) : revision;
  const number = /(\d+)$/.exec(revision)?.[1].slice(-6) ?? [...revision].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 997, 7);
  return { short, colour: 'c' + (Number(number) % 6) };
}

export class Detail {
  #live;
  #service = null;
  #all = false; // older revisions too
  #split;
  #logs = new Logs();

  constructor(live) {
    this.#live = live;
    this.#split = new Split(live);
    $('older').addEventListener('click', () => {
      this.#all = true;
      this.show(this.#service);
      $('revisions').parentElement.parentElement.focus();
    });
  }

  show(service) {
    if (service && this.#service && keyOf(service) !== keyOf(this.#service)) this.#all = false;
    this.#service = service ?? null;
    show($('service'), Boolean(service));
    this.#split.follow(service);
    this.#logs.follow(service);
    if (!service) return;
    text($('name'), service.name);
    attribute($('name'), 'title', visible(keyOf(service)));
    text($('ready'), service.ready === 'True' ? 'Ready' : service.ready === 'False' ? 'Not ready' : 'Starting');
    attribute($('ready'), 'data-tone', tone(service.ready));
    const web = /^https?:\/\//.test(service.url ?? '');
    attribute($('url'), 'href', web ? service.url : null);
    text($('url'), service.url ?? '');
    show($('why'), service.ready !== 'True' && Boolean(service.reason || service.message));
    text($('why'), [service.reason, service.message].filter(Boolean).join(': '));
    this.#figures(service);
    this.#bar(service);
    this.#revisions(service);
    this.tick();
  }

  tick() {
    if (this.#service) this.#chart(this.#live.history(keyOf(this.#service)));
  }

  #figures(service) {
    const sum = (pick) => service.revisions.reduce((n, r) => n + pick(r), 0);
    // Over several revisions: what the busiest one says.
    const busy = service.revisions.reduce((a, r) => {
      const perSecond = this.#live.rate(keyOf(service), r.name);
      return !a || perSecond > a.perSecond || perSecond === a.perSecond && r.requests.total > a.r.requests.total ? { r, perSecond } : a;
    }, null)?.r.requests;
    text($('rate'), rate(this.#live.rate(keyOf(service))));
    text($('median'), duration(busy?.median));
    text($('p95'), duration(busy?.p95));
    text($('failed'), sum((r) => r.requests.failed).toLocaleString('en'));
    text($('inflight'), sum((r) => r.requests.inFlight).toLocaleString('en'));
    text($('instances'), sum(serving).toLocaleString('en'));
  }

  #chart(history) {
    const most = Math.max(1, ...history);
    const at = history.map((r, i) => [600 - (history.length - 1 - i) * 600 / (chartSeconds - 1), 78 - r / most * 74]);
    const line = at.map(([x, y], i) => (i ? 'L' : 'M') + x.toFixed(1) + ' ' + y.toFixed(1)).join('');
    attribute($('chart-line'), 'd', line);
    attribute($('chart-area'), 'd', line && `${line}L600 80L${at[0][0].toFixed(1)} 80Z`);
    text($('chart-text'), history.length ? `now ${rate(history.at(-1))}, at most ${rate(Math.max(...history))}` : 'no requests');
  }

  #bar(service) {
    const shares = sharesOf(service);
    attribute($('bar'), 'aria-label', visible(shares.map((t) => `${t.revision} ${t.percent} %`).join(', ')) || 'No traffic');
    attribute($('bar'), 'data-none', shares.length ? null : 'true');
    keyed($('bar'), shares, (t) => t.revision, () => element('span', {}, element('b'), element('i')), (span, t) => {
      const { short, colour } = shortName(t.revision, service.name);
      span.className = colour;
      span.style.flexGrow = t.percent;
      text(span.children[0], short);
      text(span.children[1], t.percent + ' %');
    });
  }

  #revisions(service) {
    const some = this.#all ? service.revisions : service.revisions.filter((r, i) => i < newest || r.percent > 0 || r.pods?.length);
    keyed($('revisions'), some, (r) => r.name, makeRow, (row, r) => this.#updateRow(row, r, service));
    const left = service.revisions.length - some.length;
    show($('older'), left > 0);
    text($('older'), `Show ${count(left, 'older revision')}`);
  }

  #updateRow(row, r, service) {
    const [name, percent, ready, instances, perSecond, median, p95, requests, failed, old] = row.children;
    const { colour } = shortName(r.name);
    name.firstElementChild.className = 'swatch ' + colour;
    text(name.children[1], r.name);
    keyed(name.children[2], r.tags ?? [], (t) => t, () => element('span', { class: 'tag' }), text);
    text(percent, r.percent + ' %');
    attribute(row, 'data-idle', r.percent === 0 ? 'true' : null);
    const [badge, reason] = ready.children;
    text(badge, r.ready === 'True' ? 'Ready' : r.ready === 'False' ? 'Not ready' : 'Starting');
    attribute(badge, 'data-tone', tone(r.ready));
    // Of a revision that is ready Knative gives as a reason that nobody asks for it.
    text(reason, r.ready === 'True' ? '' : [r.reason, r.message].filter(Boolean).join(': '));
    const pods = r.pods ?? [];
    text(instances.firstElementChild, instancesOf(pods));
    keyed(instances.lastElementChild, pods.slice(0, 24), (p) => p.name, () => element('i'), (i, p) => {
      attribute(i, 'data-tone', podTone(p.state));
      attribute(i, 'title', visible(`${p.name}: ${p.state}` + (p.restarts ? `, ${count(p.restarts, 'restart')}` : '')));
    });
    text(perSecond, rate(this.#live.rate(keyOf(service), r.name)));
    text(median, duration(r.requests.median));
    text(p95, duration(r.requests.p95));
    text(requests, r.requests.total.toLocaleString('en'));
    text(failed, r.requests.failed.toLocaleString('en'));
    attribute(failed, 'data-tone', r.requests.failed ? 'bad' : null);
    text(old, age(r.created, Date.now()));
  }
}

// The roles say what a table is where the style sheet shows it as something else.
function makeRow() {
  const cell = (label, kind, ...children) => element('td', { role: 'cell', 'data-label': label, class: kind }, ...children);
  return element('tr', { role: 'row' },
    element('th', { role: 'rowheader', scope: 'row' }, element('span', { 'aria-hidden': 'true' }), element('span'), element('span', { class: 'tags' })),
    cell('Traffic', 'n'),
    cell('Ready', 'wide', element('span', { class: 'badge' }), element('span', { class: 'reason' })),
    cell('Instances', '', element('span'), element('span', { class: 'pods', 'aria-hidden': 'true' })),
    ...['Req/s', 'Median', 'p95', 'Requests', 'Failed', 'Age'].map((label) => cell(label, 'n')));
}

const podTone = (state) => ({ Serving: 'good', Starting: 'wait', Stopping: 'idle' }[state] ?? 'bad');

// instancesOf is "2 serving, 1 CrashLoopBackOff (3 restarts)".
function instancesOf(pods) {
  if (!pods.length) return 'none';
  const states = new Map();
  for (const p of pods) {
    const s = states.get(p.state) ?? { n: 0, restarts: 0 };
    states.set(p.state, { n: s.n + 1, restarts: s.restarts + p.restarts });
  }
  return [...states].map(([state, s]) => `${s.n} ${podTone(state) === 'bad' ? state : state.toLowerCase()}` +
    (s.restarts ? ` (${count(s.restarts, 'restart')})` : '')).join(', ');
}
