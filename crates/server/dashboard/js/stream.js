// New events, as they happen: one connection for all of the page.

import { address, call } from './api.js';
import { backoff, connection } from './connection.js';

/** @typedef {(event: any) => void} Listener */

const listeners = new Set();
let source = null;
let last = '';
let attempt = 0;
let timer = 0;
let running = false;

function connect() {
  clearTimeout(timer);
  source?.close();
  if (!running) return;
  source = new EventSource(address('events/stream', { after: last }));
  source.addEventListener('open', () => { attempt = 0; });
  source.addEventListener('event', (message) => {
    last = message.lastEventId || last;
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    for (const fn of [...listeners]) fn(event);
  });
  source.addEventListener('error', () => {
    // The browser tries again by itself unless the server refused; then it is up to us, and
    // a request tells whether the session has ended.
    if (source.readyState !== EventSource.CLOSED) return;
    timer = setTimeout(async () => {
      try {
        await call('GET', 'session');
      } catch (error) {
        if (error.status === 401) return;
      }
      connect();
    }, backoff(attempt));
    attempt += 1;
  });
}

connection.addEventListener('restored', () => { if (running && source?.readyState !== EventSource.OPEN) connect(); });

/** Begins to listen; events since the last one that came are told as well. */
export function startStream() {
  if (running) return;
  running = true;
  connect();
}

/** Stops, and forgets where it was: the next user may see other events. */
export function stopStream() {
  running = false;
  clearTimeout(timer);
  source?.close();
  source = null;
  last = '';
}

/**
 * @param {Listener} fn called with each event when it begins and with each later state
 * @param {AbortSignal} signal
 */
export function onEvent(fn, signal) {
  listeners.add(fn);
  signal.addEventListener('abort', () => listeners.delete(fn));
}
