// Fields of forms, each with a label of its own.

import { h } from '../dom.js';

let count = 0;
const nextId = () => `f${(count += 1)}`;

/**
 * @param {string} label
 * @param {HTMLElement} control
 * @param {{help?: any, unit?: string, hideLabel?: boolean, wide?: boolean}} [options]
 */
export function field(label, control, options = {}) {
  const id = control.id || nextId();
  control.id = id;
  let help;
  if (options.help) {
    help = h('div', { class: 'help', id: `${id}h` }, options.help);
    control.setAttribute('aria-describedby', help.id);
  }
  return h('div', { class: options.wide ? 'field wide' : 'field' },
    h('label', { for: id, class: options.hideLabel ? 'sr' : undefined }, label),
    options.unit ? h('div', { class: 'with-unit' }, control, h('span', { class: 'muted' }, options.unit)) : control,
    help);
}

/** @param {string} name @param {Record<string, any>} [attributes] */
export const input = (name, attributes = {}) => h('input', { name, class: 'input', type: 'text', autocomplete: 'off', ...attributes });

/**
 * @param {string} name
 * @param {[string, string][]} choices value and text
 * @param {string} value
 * @param {Record<string, any>} [attributes]
 */
export const select = (name, choices, value, attributes = {}) =>
  h('select', { name, class: 'input', ...attributes }, choices.map(([v, text]) => h('option', { value: v, selected: v === value }, text)));

/** @param {string} label @param {Record<string, any>} attributes */
export const tick = (label, attributes) => h('label', { class: 'tick' }, h('input', { type: 'checkbox', ...attributes }), h('span', null, label));

/**
 * A row of buttons of which any number are pressed.
 * @param {string} legend
 * @param {{value: string, text: string, before?: any}[]} choices
 * @param {string[]} chosen
 * @param {(chosen: string[]) => void} changed
 */
export function chips(legend, choices, chosen, changed) {
  const set = new Set(chosen);
  return h('div', { class: 'chips', role: 'group', 'aria-label': legend }, choices.map((c) => h('button', {
    type: 'button', class: 'chip', 'aria-pressed': String(set.has(c.value)),
    on: { click: (event) => {
      if (!set.delete(c.value)) set.add(c.value);
      event.currentTarget.setAttribute('aria-pressed', String(set.has(c.value)));
      changed([...set]);
    } },
  }, c.before, c.text)));
}

/**
 * A row of buttons of which one is pressed.
 * @param {string} legend
 * @param {[string, string][]} choices
 * @param {string} value
 * @param {(value: string) => void} changed
 */
export function segmented(legend, choices, value, changed) {
  const buttons = choices.map(([v, text]) => h('button', {
    type: 'button', 'aria-pressed': String(v === value),
    on: { click: () => {
      for (const [i, [other]] of choices.entries()) buttons[i].setAttribute('aria-pressed', String(other === v));
      changed(v);
    } },
  }, text));
  return h('div', { class: 'segmented', role: 'group', 'aria-label': legend }, buttons);
}

/** @param {HTMLFormElement} form @returns {Record<string, string>} trimmed texts */
export function values(form) {
  const out = {};
  for (const [key, value] of new FormData(form)) if (typeof value === 'string') out[key] = value.trim();
  return out;
}
