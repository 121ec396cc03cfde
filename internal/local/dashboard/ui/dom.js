// Changes of the page that touch only what is different: focus, selection and what a
// screen reader is reading stay where they are. Names and log lines come from others;
// they get in as text alone.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function text(node, value) {
  const wanted = visible(String(value));
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

export function show(node, visibly) {
  if (node.hidden === visibly) node.hidden = !visibly;
}

// keyed makes the children of parent those of items: it removes what is gone, makes
// what is new, moves what stands elsewhere, and leaves the rest alone.
export function keyed(parent, items, keyOf, make, update) {
  const wanted = new Set(items.map(keyOf));
  const old = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) old.set(child.dataset.key, child);
    else drop(child);
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = old.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
}

// drop removes a node. Focus in it goes to its neighbour, not to the top of the page.
function drop(node) {
  if (node.contains(document.activeElement)) {
    const beside = node.nextElementSibling || node.previousElementSibling || node.parentElement;
    const target = beside?.matches?.(focusable) ? beside : beside?.querySelector?.(focusable);
    node.remove();
    target?.focus();
  } else {
    node.remove();
  }
}

const focusable = 'a[href], button, input, select';

// visible shows characters that hide themselves or turn text around.
export function visible(value) {
  return value.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) =>
    '\\u' + c.codePointAt(0).toString(16).padStart(4, '0'));
}

export function duration(nanoseconds) {
  const ms = nanoseconds / 1e6;
  if (!ms) return '–';
  if (ms < 0.1) return '< 0.1 ms';
  if (ms < 10) return ms.toFixed(1) + ' ms';
  if (ms < 1000) return Math.round(ms) + ' ms';
  return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + ' s';
}

export function rate(perSecond) {
  if (!perSecond) return '0';
  return perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

export function age(since, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 120) return seconds + ' s';
  if (seconds < 7200) return Math.floor(seconds / 60) + ' min';
  if (seconds < 172800) return Math.floor(seconds / 3600) + ' h';
  return Math.floor(seconds / 86400) + ' d';
}

export function count(n, one, many = one + 's') {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}
