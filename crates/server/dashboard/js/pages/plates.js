// Licence plates that are welcome, and those that are not.

import { h, fill } from '../dom.js';
import { get, post, del } from '../api.js';
import { link } from '../router.js';
import { can } from '../session.js';
import { badge, button, linkButton, notice, pageHead, showIn, table } from '../components/ui.js';
import { confirm } from '../components/dialog.js';
import { field, input, values } from '../components/form.js';
import { toast, toastError } from '../components/toast.js';

const LISTS = [
  { key: 'allow', name: 'Allow', tone: 'good', text: 'Plates that are welcome' },
  { key: 'deny', name: 'Deny', tone: 'bad', text: 'Plates that are not. What is on both lists is denied.' },
];

/** @param {string} text @returns {string} capitals and digits alone, as plates are compared */
export const clean = (text) => text.toUpperCase().replace(/[^\p{L}\p{N}]/gu, '');

/**
 * @param {{plate: string, description?: string|null}} entry
 * @param {string} wanted
 */
export function fits(entry, wanted) {
  if (!wanted) return true;
  const plate = clean(wanted);
  return (plate !== '' && clean(entry.plate).includes(plate)) || (entry.description ?? '').toLowerCase().includes(wanted.toLowerCase());
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const writable = can('plates:write');
  const place = h('div');
  let lists = null;
  const search = input('q', { type: 'search', placeholder: 'Plate or description', on: { input: () => { if (lists) draw(); } } });
  host.append(pageHead('Plates'), h('div', { class: 'stack' }, field('Search', search, { hideLabel: true }), place));

  const bodies = new Map(LISTS.map(({ key }) => [key, h('div')]));
  const counts = new Map(LISTS.map(({ key, tone }) => [key, badge('', tone)]));

  function addForm(key) {
    const form = h('form', { class: 'row', on: { submit: async (event) => {
      event.preventDefault();
      const v = values(form);
      const body = { plate: v.plate };
      if (v.description) body.description = v.description;
      try {
        await post(['plates', key], body);
        form.reset();
        form.elements.plate.focus();
        toast(`${v.plate} is on the ${key} list`);
        await load();
      } catch (error) {
        toastError(error);
      }
    } } },
    input('plate', { required: true, placeholder: 'Plate', 'aria-label': `Plate for the ${key} list`, class: 'input mono auto grow', autocapitalize: 'characters', spellcheck: 'false', size: 8 }),
    input('description', { placeholder: 'Description', 'aria-label': 'Description', class: 'input auto grow', size: 10 }),
    button('Add', { type: 'submit', icon: 'plus' }));
    return form;
  }

  async function remove(key, plate) {
    const done = await confirm({ title: `Take ${plate} off the ${key} list?`, text: 'It is then a plate like any other.', action: 'Remove' }, () => del(['plates', key, plate]));
    if (!done) return;
    toast(`${plate} was removed`);
    await load();
  }

  function draw() {
    for (const { key } of LISTS) {
      const { entries, editable } = lists[key];
      const rows = entries.filter((e) => fits(e, search.value.trim()));
      counts.get(key).textContent = String(entries.length);
      fill(bodies.get(key), rows.length === 0
        ? h('p', { class: 'muted' }, entries.length ? 'None fits the search.' : 'No plates yet.')
        : table(`The ${key} list`, ['Plate', 'Description', ''], rows.map((e) => h('tr', null,
          h('td', { class: 'mono nowrap' }, e.plate), h('td', { class: 'break' }, e.description),
          h('td', { class: 'act' },
            can('events:read') && linkButton('', link(['events'], { q: e.plate, kind: 'plate_read', span: '30d' }), { icon: 'events', label: `Events of ${e.plate}`, class: 'plain tiny' }),
            writable && editable && button('', { icon: 'trash', label: `Remove ${e.plate}`, class: 'plain tiny', on: () => remove(key, e.plate) }))))));
    }
  }

  async function load() {
    lists = await get('plates', {}, signal);
    draw();
  }
  showIn(place, async () => {
    await load();
    return h('div', { class: 'columns' }, LISTS.map(({ key, name, text }) => h('section', { class: 'card stack', 'aria-label': `${name} list` },
      h('div', null, h('div', { class: 'row' }, h('h2', null, name), counts.get(key)), h('p', { class: 'muted small' }, text)),
      writable && (lists[key].editable ? addForm(key) : notice('', 'This list cannot be changed here.', 'Name a file that the server may write as its list in the configuration.')),
      bodies.get(key))));
  });
}
