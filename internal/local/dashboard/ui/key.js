// The key to what the page shows. A browser sends the page's cookie to every port of this
// host, and so to whoever listens there; what is in this storage is for pages of this port.
const name = 'kn-lite-key';

const given = new URLSearchParams(location.search).get('token');
// It shall not stand in the address bar.
if (location.search) history.replaceState(null, '', location.pathname + location.hash);

let key = given;
try {
  if (given) localStorage.setItem(name, given);
  else key = localStorage.getItem(name);
} catch { /* the browser keeps nothing: the key lasts as long as the page */ }

export const headers = { 'Kn-Lite-Key': key ?? '' };

// withKey is for an EventSource, which sends no headers of ours.
export function withKey(path) {
  const url = new URL(path, location.origin);
  url.searchParams.set('key', key ?? '');
  return url.pathname + url.search;
}
