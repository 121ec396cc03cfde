// What the platform says, as it changes: the services by NAMESPACE/NAME, and how many
// requests each revision gets per second, which is worked out here from the totals.

import { headers, withKey } from './key.js';

export const chartSeconds = 120;

const silence = 25000; // ms without a word after which a connection counts as lost
const hiddenFor = 20000; // ms that a page may be out of sight and still be fed

export class Live extends EventTarget {
  services = new Map();
  instances = 0;
  state = 'connecting'; // live, lost, out (not signed in any longer) or connecting
  #records = new Map();
  #source = null;
  #timer = 0;
  #watchdog = 0;
  #failures = 0;

  start() {
    this.#connect();
    setInterval(() => this.#sample(), 1000);
    let hide = 0;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hide);
      if (document.hidden) hide = setTimeout(() => this.#stop(), hiddenFor);
      else if (!this.#source) this.#connect();
    });
  }

  #connect() {
    this.#stop();
    const source = new EventSource(withKey('/events'));
    this.#source = source;
    const alive = () => {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(() => this.#lost(source), silence);
    };
    alive();
    source.addEventListener('state', (e) => {
      alive();
      this.#failures = 0;
      this.#replace(JSON.parse(e.data));
      this.#become('live');
    });
    source.addEventListener('change', (e) => {
      alive();
      this.#apply(JSON.parse(e.data));
    });
    source.addEventListener('ping', alive);
    source.addEventListener('error', () => this.#lost(source));
  }

  #stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = null;
  }

  // An EventSource does not say why it failed: another request does.
  async #lost(source) {
    if (source !== this.#source) return;
    this.#stop();
    this.#failures++;
    let state = 'lost';
    try {
      const answer = await fetch('/state', { method: 'HEAD', headers, cache: 'no-store' });
      if (answer.status === 401 || answer.status === 403) state = 'out';
    } catch { /* nobody is there */ }
    if (this.#source) return;
    this.#become(state);
    this.#timer = setTimeout(() => { if (!document.hidden) this.#connect(); }, Math.min(1000 * this.#failures, 5000));
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event('connection'));
  }

  #replace(state) {
    this.services = new Map(state.services.map((s) => [keyOf(s), s]));
    this.instances = state.instances;
    for (const key of this.#records.keys()) if (!this.services.has(key)) this.#records.delete(key);
    for (const record of this.#records.values()) record.history = [];
    for (const s of state.services) this.#count(keyOf(s), Date.parse(state.at), requestsOf(s));
    this.dispatchEvent(new Event('change'));
  }

  #apply(change) {
    const at = Date.parse(change.at);
    this.instances = change.instances;
    for (const key of change.removed ?? []) {
      this.services.delete(key);
      this.#records.delete(key);
    }
    for (const s of change.services ?? []) {
      this.services.set(keyOf(s), s);
      this.#count(keyOf(s), at, requestsOf(s));
    }
    for (const [key, requests] of Object.entries(change.requests ?? {})) {
      for (const r of this.services.get(key)?.revisions ?? []) if (Object.hasOwn(requests, r.name)) r.requests = requests[r.name];
      this.#count(key, at, requests);
    }
    this.dispatchEvent(new Event('change'));
  }

  #count(key, at, requests) {
    let record = this.#records.get(key);
    if (!record) this.#records.set(key, record = { revisions: new Map(), history: [] });
    for (const [name, r] of Object.entries(requests)) {
      const seen = record.revisions.get(name);
      if (!seen || r.total < seen.total) {
        record.revisions.set(name, { total: r.total, at, rate: 0 });
      } else if (at - seen.at >= 500) {
        record.revisions.set(name, { total: r.total, at, rate: (r.total - seen.total) * 1000 / (at - seen.at) });
      }
    }
  }

  // A revision of which nothing is heard for two seconds has no requests.
  #sample() {
    if (this.state !== 'live') return;
    let fell = false;
    const now = Date.now();
    for (const [key, record] of this.#records) {
      for (const seen of record.revisions.values()) {
        if (seen.rate && now - seen.at > 2200) {
          seen.rate = 0;
          seen.at = now - 1000;
          fell = true;
        }
      }
      const rate = this.rate(key);
      if (rate || record.history.some((r) => r > 0)) {
        record.history.push(rate);
        if (record.history.length > chartSeconds) record.history.shift();
      } else {
        record.history = [];
      }
    }
    this.dispatchEvent(new Event('tick'));
    if (fell) this.dispatchEvent(new Event('change'));
  }

  // rate is the requests per second of a service, or of one of its revisions.
  rate(key, revision) {
    const revisions = this.#records.get(key)?.revisions;
    if (!revisions) return 0;
    if (revision !== undefined) return revisions.get(revision)?.rate ?? 0;
    let sum = 0;
    for (const seen of revisions.values()) sum += seen.rate;
    return sum;
  }

  history(key) { return this.#records.get(key)?.history ?? []; }
}

export const keyOf = (service) => service.namespace + '/' + service.name;

const requestsOf = (service) => Object.fromEntries(service.revisions.map((r) => [r.name, r.requests]));

export const serving = (revision) => (revision.pods ?? []).filter((p) => p.state === 'Serving').length;

// sharesOf is the split by revision.
export const sharesOf = (service) => service.revisions.filter((r) => r.percent > 0).map((r) => ({ revision: r.name, percent: r.percent }));
