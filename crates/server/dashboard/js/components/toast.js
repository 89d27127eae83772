// Short messages in a corner, read out by screen readers.

import { h } from '../dom.js';
import { icon } from '../icons.js';

const MOST = 4;

/**
 * @param {string} text
 * @param {{bad?: boolean, hint?: string}} [options] errors stay longer
 */
export function toast(text, options = {}) {
  const host = document.getElementById('toasts');
  if (!host) return;
  const close = () => el.remove();
  const el = h('div', { class: 'toast' },
    icon(options.bad ? 'warning' : 'check'),
    h('div', null, text, options.hint && h('p', { class: 'small' }, options.hint)),
    h('button', { type: 'button', class: 'close', 'aria-label': 'Dismiss', on: { click: close } }, icon('close')));
  // In the topmost dialog, for what is outside of it is inert.
  const open = [...document.querySelectorAll('dialog[open]')].at(-1);
  if (open && host.parentElement !== open) {
    open.append(host);
    open.addEventListener('close', () => document.body.append(host), { once: true });
  }
  host.append(el);
  while (host.children.length > MOST) host.firstElementChild.remove();
  setTimeout(close, options.bad ? 12000 : 5000);
}

/** @param {any} error */
export function toastError(error) {
  toast(error.message || String(error), { bad: true, hint: error.hint });
}
