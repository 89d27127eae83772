// New events, as they happen: one connection for all of the page.

import { address, call } from './api.js';
import { backoff, connection } from './connection.js';

/** @typedef {(event: any) => void} Listener */

/** A hidden page lets go of its connection after so long: browsers have few for each server. */
const HIDDEN_MS = 30000;

const listeners = new Set();
/** Tells `gap` when events may have been missed that will not be told: lists load anew then. */
export const stream = new EventTarget();
let source = null;
let last = '';
let attempt = 0;
let timer = 0;
let running = false;
let connectedBefore = false;
let hiding = 0;

function connect() {
  clearTimeout(timer);
  source?.close();
  if (!running || document.hidden) return;
  // From where it was; without that, what came while it was away is not known.
  if (connectedBefore && !last) stream.dispatchEvent(new Event('gap'));
  connectedBefore = true;
  const mine = new EventSource(address('events/stream', { after: last }));
  source = mine;
  mine.addEventListener('open', () => { attempt = 0; });
  mine.addEventListener('event', (message) => {
    last = message.lastEventId || last;
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    for (const fn of [...listeners]) fn(event);
  });
  mine.addEventListener('error', () => {
    // Left to itself the browser would go on from where this address began. A request tells
    // whether the session has ended.
    mine.close();
    if (source !== mine) return;
    clearTimeout(timer);
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

document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (!running) return;
  if (document.hidden) {
    hiding = setTimeout(() => {
      source?.close();
      source = null;
    }, HIDDEN_MS);
  } else if (!source || source.readyState === EventSource.CLOSED) {
    connect();
  }
});

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
  connectedBefore = false;
}

/**
 * @param {Listener} fn called with each event when it begins and with each later state
 * @param {AbortSignal} signal
 */
export function onEvent(fn, signal) {
  listeners.add(fn);
  signal.addEventListener('abort', () => listeners.delete(fn));
}
