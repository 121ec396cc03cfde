// The form that changes a split. What is typed stays whatever happens meanwhile;
// nothing is written before it is applied, and then only if the split is still the one
// that was there when the form was opened.
import { $, attribute, element, keyed, show, text } from './dom.js';
import { headers } from './key.js';
import { keyOf, sharesOf } from './live.js';
import { announce } from './announce.js';

const most = 12; // revisions without traffic are left out beyond this many

export class Split {
  #live;
  #service = null;
  #edit = null; // {key, base, version, values, sending} while the form is open

  constructor(live) {
    this.#live = live;
    $('edit').addEventListener('click', () => this.#open());
    $('cancel').addEventListener('click', () => this.#close());
    $('take').addEventListener('click', () => this.#open());
    $('overwrite').addEventListener('click', () => { this.#rebase(); this.#apply(); });
    $('split').addEventListener('submit', (e) => { e.preventDefault(); this.#apply(); });
    $('split').addEventListener('keydown', (e) => { if (e.key === 'Escape') this.#close(); });
    $('shares').addEventListener('input', (e) => this.#typed(e.target));
    $('shares').addEventListener('click', (e) => this.#rest(e.target.closest('button')));
  }

  follow(service) {
    this.#service = service ?? null;
    if (this.#edit && (!service || this.#edit.key !== keyOf(service))) this.#close(false);
    show($('edit'), Boolean(service) && !this.#edit && service.revisions.length > 0);
    if (!this.#edit) return;
    const now = sharesOf(service);
    if (same(now, this.#edit.base)) this.#edit.version = service.resourceVersion;
    else this.#conflict('The split has changed meanwhile: ' + difference(this.#edit.base, now) + '.');
    this.#fields();
  }

  #open() {
    const s = this.#service;
    if (!s) return;
    this.#edit = { key: keyOf(s), base: sharesOf(s), version: s.resourceVersion, values: new Map(sharesOf(s).map((t) => [t.revision, String(t.percent)])) };
    this.#problem('');
    text($('split-legend'), `Split of ${s.name}`);
    show($('split'), true);
    show($('edit'), false);
    this.#fields();
    const first = $('shares').querySelector('input');
    first?.focus();
    first?.select();
  }

  #close(focus = true) {
    if (!this.#edit) return;
    this.#edit = null;
    show($('split'), false);
    show($('edit'), Boolean(this.#service));
    if (focus) $('edit').focus();
  }

  #rebase() {
    this.#edit.base = sharesOf(this.#service);
    this.#edit.version = this.#service.resourceVersion;
  }

  #fields() {
    const values = this.#edit.values;
    let others = 0;
    const rows = this.#service.revisions.filter((r) => r.percent > 0 || values.has(r.name) || (r.ready === 'True' && others++ < most));
    for (const name of values.keys()) if (!rows.some((r) => r.name === name)) values.delete(name);
    keyed($('shares'), rows, (r) => r.name, makeShare, (li, r) => {
      const [label, input, , rest] = li.children;
      text(label, r.name);
      attribute(rest, 'aria-label', `${r.name} takes the rest`);
      // Never under the fingers of who types.
      const wanted = values.get(r.name) ?? '0';
      if (input.value !== wanted && input !== document.activeElement) input.value = wanted;
    });
    this.#total();
  }

  #typed(input) {
    this.#edit.values.set(input.closest('li').dataset.key, input.value);
    this.#total();
  }

  // One revision takes what the others leave.
  #rest(button) {
    if (!button) return;
    const li = button.closest('li');
    let others = 0;
    for (const other of $('shares').children) if (other !== li) others += number(this.#value(other.dataset.key)) || 0;
    const value = String(Math.max(0, 100 - others));
    this.#edit.values.set(li.dataset.key, value);
    li.children[1].value = value;
    this.#total();
  }

  #value(revision) { return this.#edit.values.get(revision) ?? '0'; }

  // total shows the sum and returns what is wrong, "" when nothing is.
  #total() {
    let sum = 0;
    let wrong = '';
    for (const li of $('shares').children) {
      const n = number(this.#value(li.dataset.key));
      const bad = Number.isNaN(n);
      attribute(li.children[1], 'aria-invalid', bad ? 'true' : null);
      if (bad) wrong ||= `${li.dataset.key}: use a whole number from 0 to 100.`;
      else sum += n;
    }
    text($('sum'), `${sum} %` + (wrong || sum === 100 ? '' : sum < 100 ? `, ${100 - sum} missing` : `, ${sum - 100} too many`));
    attribute($('sum'), 'data-tone', sum === 100 && !wrong ? 'good' : 'bad');
    return wrong || (sum === 100 ? '' : `The shares sum to ${sum}, not to 100.`);
  }

  #problem(message) {
    text($('split-problem'), message);
    show($('split-problem'), Boolean(message));
    if (!message) for (const id of ['overwrite', 'take']) show($(id), false);
  }

  #conflict(message) {
    this.#problem(message + ' Nothing was written.');
    for (const id of ['overwrite', 'take']) show($(id), true);
  }

  async #apply() {
    const edit = this.#edit;
    if (!edit || edit.sending) return;
    const wrong = this.#total();
    if (wrong) {
      this.#problem(wrong);
      ($('shares').querySelector('[aria-invalid]') ?? $('shares').querySelector('input'))?.focus();
      return;
    }
    const [namespace, service] = [this.#service.namespace, this.#service.name];
    const targets = [...$('shares').children].map((li) => ({ revision: li.dataset.key, percent: number(this.#value(li.dataset.key)) }));
    edit.sending = true;
    try {
      const answer = await fetch('/split', {
        method: 'POST', headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify({ namespace, service, resourceVersion: edit.version, from: edit.base, targets }),
      });
      const body = await answer.json();
      if (this.#edit !== edit) return;
      if (answer.ok) this.#done(service, body);
      else if (answer.status === 409 && body.changes) this.#conflict(`The split has changed meanwhile: ${body.changes.join(', ')}.`);
      else this.#problem([body.error, body.hint].filter(Boolean).join(' — '));
    } catch {
      if (this.#edit === edit) this.#problem('The platform does not answer. What is typed stays; apply it again when the connection is back.');
    } finally {
      edit.sending = false;
    }
  }

  #done(name, body) {
    announce(body.changes.length ? `The split of ${name} is changed: ${body.changes.join(', ')}` : `The split of ${name} was that already`);
    this.#close();
  }
}

function makeShare(r) {
  const id = 'share-' + r.name;
  return element('li', {}, element('label', { for: id }),
    element('input', { id, type: 'number', min: '0', max: '100', step: '1', inputmode: 'numeric', 'aria-describedby': 'split-help', value: '0' }),
    element('span', { 'aria-hidden': 'true' }, '%'), element('button', { type: 'button', class: 'quiet' }, 'takes the rest'));
}

// number is NaN for anything but a whole number from 0 to 100.
function number(value) {
  return /^\s*\d{1,3}\s*$/.test(value) && Number(value) <= 100 ? Number(value) : NaN;
}

function same(a, b) {
  return a.length === b.length && difference(a, b) === '';
}

function difference(from, to) {
  const before = new Map(from.map((t) => [t.revision, t.percent]));
  const after = new Map(to.map((t) => [t.revision, t.percent]));
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => (before.get(name) ?? 0) !== (after.get(name) ?? 0))
    .map((name) => `${name} ${before.get(name) ?? 0} % → ${after.get(name) ?? 0} %`).join(', ');
}
