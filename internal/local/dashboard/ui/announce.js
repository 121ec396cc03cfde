// What a screen reader says by itself. One message at a time, and not two at once: a
// page that talks all the time is switched off.
import { $, visible } from './dom.js';

const between = 1500;
let queue = [];
let timer = 0;

export function announce(message) {
  queue.push(visible(message));
  queue = queue.slice(-2);
  if (!timer) next();
}

function next() {
  const message = queue.shift();
  timer = message === undefined ? 0 : setTimeout(next, between);
  if (message !== undefined) $('announce').textContent = message;
}
