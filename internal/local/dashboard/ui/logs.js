// What the instances of a revision print, or one of them.
import { $, attribute, element, keyed, show, text, visible } from './dom.js';
import { keyOf } from './live.js';
import { withKey } from './key.js';
import { shortName } from './detail.js';

const most = 2000; // lines in the page

export class Logs {
  #service = null;
  #chosen = ''; // value of a choice
  #source = null;
  #address = '';
  #paused = false;
  #timer = 0;

  constructor() {
    $('log-from').addEventListener('change', (e) => { this.#chosen = e.target.value; this.#connect(); });
    $('log-clear').addEventListener('click', () => { $('log').replaceChildren(); this.#state(); });
    $('log-pause').addEventListener('click', () => {
      this.#paused = !this.#paused;
      attribute($('log-pause'), 'aria-pressed', String(this.#paused));
      text($('log-pause'), this.#paused ? 'Go on' : 'Pause');
      this.#connect();
    });
    document.addEventListener('visibilitychange', () => this.#connect());
  }

  follow(service) {
    if (!service || !this.#service || keyOf(service) !== keyOf(this.#service)) this.#chosen = '';
    this.#service = service ?? null;
    const choices = service ? choicesOf(service) : [];
    if (!choices.some((c) => c.value === this.#chosen)) this.#chosen = busiest(choices)?.value ?? '';
    keyed($('log-from'), choices, (c) => c.value, (c) => element('option', { value: c.value }), (o, c) => text(o, c.label));
    if ($('log-from').value !== this.#chosen) $('log-from').value = this.#chosen;
    this.#connect();
  }

  #connect() {
    const [revision, pod] = this.#chosen ? JSON.parse(this.#chosen) : [];
    const wanted = this.#service && revision && !this.#paused && !document.hidden
      ? '/logs?' + new URLSearchParams({ namespace: this.#service.namespace, revision, pod: pod ?? '' }) : '';
    if (wanted === this.#address) return;
    this.#address = wanted;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    if (wanted) this.#open(wanted);
    this.#state();
  }

  #open(address) {
    let fresh = true;
    const source = new EventSource(withKey(address));
    this.#source = source;
    source.addEventListener('lines', (e) => {
      // What was there comes again with every connection.
      if (fresh) $('log').replaceChildren();
      fresh = false;
      this.#add(JSON.parse(e.data));
      this.#state();
    });
    source.addEventListener('error', () => {
      source.close();
      if (source !== this.#source) return;
      this.#source = null;
      this.#state();
      this.#timer = setTimeout(() => { this.#address = ''; this.#connect(); }, 2000);
    });
  }

  #add(lines) {
    if (!lines.length) return;
    const log = $('log');
    const end = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const added = document.createDocumentFragment();
    for (const line of lines.slice(-most)) {
      const from = element('span', { class: 'pod ' + colourOf(line.pod), title: visible(line.pod) }, visible(line.pod.slice(-5) + (line.container ? ' ' + line.container : '')));
      // Colours are for terminals.
      added.append(element('div', {}, from, visible(line.text.replace(/\u001b\[[0-9;:]*m/g, ''))));
    }
    log.append(added);
    while (log.childElementCount > most) log.firstElementChild.remove();
    if (end) log.scrollTop = log.scrollHeight;
  }

  #state() {
    let state = '';
    if (this.#paused) state = 'Paused.';
    else if (this.#address && !this.#source) state = 'The log is not connected. Trying again …';
    else if (!$('log').childElementCount) state = 'Nothing yet: instances print here what they write to stdout and stderr.';
    text($('log-state'), state);
    show($('log-state'), Boolean(state));
  }
}

const busiest = (choices) => choices.reduce((a, c) => (!a || c.weight > a.weight ? c : a), null);

function choicesOf(service) {
  return service.revisions.slice(0, 20).flatMap((r) => [
    { value: JSON.stringify([r.name]), label: `${shortName(r.name, service.name).short}: all instances`, weight: (r.pods?.length ? 1000 : 0) + r.percent },
    ...(r.pods?.length > 1 ? r.pods : []).map((p) => ({ value: JSON.stringify([r.name, p.name]), label: `${p.name} (${p.state})`, weight: -1 })),
  ]);
}

const colourOf = (pod) => 'c' + [...pod].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 997, 7) % 6;
