// Small pieces that every page is made of.

import { h } from '../dom.js';
import { icon } from '../icons.js';
import * as format from '../format.js';
import { aborted } from '../api.js';

/**
 * @param {string} text
 * @param {{icon?: string, class?: string, on?: (event: Event) => any, label?: string, type?: string, [attribute: string]: any}} [options]
 *   `label` names a button that shows an icon alone (`text` is empty then)
 */
export function button(text, options = {}) {
  const { icon: name, class: cls = '', on, label, type = 'button', ...rest } = options;
  return h('button', {
    type, class: `button ${cls}${text ? '' : ' square'}`, 'aria-label': label, title: text ? undefined : label,
    on: { click: on }, ...rest,
  }, name && icon(name), text);
}

/**
 * A link that looks like a button.
 * @param {string} text
 * @param {string} href
 * @param {{icon?: string, class?: string, label?: string, [attribute: string]: any}} [options]
 */
export function linkButton(text, href, options = {}) {
  const { icon: name, class: cls = '', label, ...rest } = options;
  return h('a', { href, class: `button ${cls}${text ? '' : ' square'}`, 'aria-label': label, title: text ? undefined : label, ...rest }, name && icon(name), text);
}

/**
 * A time as people read it, with UTC in its title.
 * @param {string|null|undefined} when
 * @param {'ago'|'clock'|'dateTime'} [how]
 */
export function time(when, how = 'dateTime') {
  if (!when) return h('span', { class: 'muted' }, 'never');
  const shown = format[how](when);
  const title = how === 'ago' ? `${format.dateTime(when)} (${format.utc(when)})` : format.utc(when);
  return h('time', { datetime: when, title }, shown);
}

/** @param {string} text @param {'good'|'warn'|'bad'|''} [tone] @param {string} [iconName] */
export const badge = (text, tone = '', iconName) => h('span', { class: `badge ${tone}` }, iconName && icon(iconName), text);

/**
 * @param {'good'|'warn'|'bad'|''} tone
 * @param {any} text
 * @param {any} [hint] what to do
 */
export function notice(tone, text, hint) {
  return h('div', { class: `notice ${tone}`, role: tone === 'bad' ? 'alert' : undefined },
    icon({ good: 'check', '': 'info' }[tone] ?? 'warning'),
    h('div', null, text, hint && h('p', { class: 'hint' }, hint)));
}

/**
 * What is there to see where nothing is.
 * @param {string} iconName
 * @param {string} title
 * @param {any} text what to do about it
 * @param {...any} actions
 */
export const empty = (iconName, title, text, ...actions) =>
  h('div', { class: 'empty' }, icon(iconName), h('h2', null, title), h('p', null, text), actions.length > 0 && h('div', { class: 'row' }, actions));

export const loading = () => h('div', { class: 'loading', role: 'status' }, h('div', { class: 'spinner' }), h('span', { class: 'sr' }, 'Loading'));

/**
 * An error with what to do about it.
 * @param {any} error
 * @param {() => void} [again]
 */
export function failed(error, again) {
  const wait = error.retryAfter ? ` Wait ${format.duration(error.retryAfter * 1000)}.` : '';
  return h('div', { class: 'stack-tight' },
    notice('bad', error.message || String(error), `${error.hint ?? ''}${wait}`.trim() || undefined),
    again && h('div', null, button('Try again', { on: again })));
}

/**
 * Shows that something is being loaded, then what `load` makes of it, or why it failed.
 * @param {Element} host
 * @param {() => Promise<any>} load gives nodes, or null to have drawn them itself
 */
export async function showIn(host, load) {
  if (!host.firstChild) host.replaceChildren(loading());
  try {
    const nodes = await load();
    if (nodes) host.replaceChildren(...[nodes].flat(Infinity).filter(Boolean));
  } catch (error) {
    if (!aborted(error)) host.replaceChildren(failed(error, () => { host.replaceChildren(); showIn(host, load); }));
  }
}

/** @param {string} title @param {...any} actions */
export const pageHead = (title, ...actions) => h('div', { class: 'head' }, h('h1', null, title), actions);

/**
 * @param {[string, any][]} rows a name and a value; rows without a value are left out
 */
export const facts = (rows) => h('dl', { class: 'facts' },
  rows.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));

/**
 * A table that scrolls sideways where it is too wide.
 * @param {string} label
 * @param {(string|{text: string, class?: string})[]} columns
 * @param {HTMLElement[]} rows of `tr`
 * @param {{stacked?: boolean}} [options] stacked: on phones a row is a small card instead
 * @returns {HTMLElement & {add: (rows: HTMLElement[]) => void}}
 */
export function table(label, columns, rows, options = {}) {
  const body = h('tbody');
  const add = (more) => {
    for (const row of more) {
      for (const [i, cell] of [...row.children].entries()) cell.dataset.label = typeof columns[i] === 'string' ? columns[i] : columns[i].text;
    }
    body.append(...more);
  };
  add(rows);
  const root = h('div', { class: 'scroll-x', tabindex: '0', role: 'region', 'aria-label': label },
    h('table', { class: options.stacked ? 'stacked' : undefined },
      h('thead', null, h('tr', null, columns.map((c) => (typeof c === 'string' ? h('th', { scope: 'col' }, c || h('span', { class: 'sr' }, 'Actions')) : h('th', { scope: 'col', class: c.class }, c.text))))),
      body));
  return Object.assign(root, { add });
}

/** @param {number|null} fraction null where it is not known how much there is to do @param {string} label @param {string} [tone] */
export function meter(fraction, label, tone = '') {
  const known = fraction !== null && Number.isFinite(fraction);
  const value = known ? Math.round(Math.min(1, Math.max(0, fraction)) * 100) : undefined;
  return h('div', {
    class: `meter ${tone} ${known ? '' : 'unknown'}`, role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': value,
  }, h('div', { style: { width: `${value ?? 0}%` } }));
}

/**
 * @param {{name: string, href: string, current: boolean}[]} items
 * @param {string} label
 */
export const tabs = (items, label) => h('nav', { class: 'tabs', 'aria-label': label },
  items.map((t) => h('a', { href: t.href, 'aria-current': t.current ? 'page' : undefined }, t.name)));

/** A coloured mark of a kind of event. @param {string} kind */
export const kindDot = (kind) => h('span', { class: 'dot', style: { '--kind': `var(--k-${kind}, var(--muted))` } });
