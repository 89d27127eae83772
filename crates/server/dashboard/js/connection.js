// Whether the server can be reached, and coming back when it can again.

import { wire } from './api.js';
import { store } from './dom.js';
import { loadSession, session } from './session.js';

/** `true` while the server answers. */
export const online = store(true);

/** Tells `restored` when the server answers again. */
export const connection = new EventTarget();

let timer = 0;
let attempt = 0;

/**
 * The wait before attempt number `n`: 1 s, doubled up to 30 s, give or take a quarter so that
 * many pages do not all come at once.
 * @param {number} n from 0
 * @param {number} [random] from 0 to 1
 * @returns {number} milliseconds
 */
export const backoff = (n, random = Math.random()) => Math.min(30000, 1000 * 2 ** Math.min(n, 10)) * (0.75 + random / 2);

async function probe() {
  clearTimeout(timer);
  const user = session.get()?.user;
  try {
    await loadSession();
  } catch {
    attempt += 1;
    timer = setTimeout(probe, backoff(attempt));
    return;
  }
  if (user && !session.get()) wire.dispatchEvent(new Event('unauthenticated'));
}

/** Tries again now. */
export function retryNow() {
  attempt = 0;
  probe();
}

wire.addEventListener('unreachable', () => {
  if (!online.get()) return;
  online.set(false);
  attempt = 0;
  timer = setTimeout(probe, backoff(0));
});

wire.addEventListener('reached', () => {
  if (online.get()) return;
  clearTimeout(timer);
  online.set(true);
  connection.dispatchEvent(new Event('restored'));
});

window.addEventListener('online', () => { if (!online.get()) retryNow(); });
