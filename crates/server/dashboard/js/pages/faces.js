// People who are known, and their photographs.

import { h, fill } from '../dom.js';
import { get, call, del, address } from '../api.js';
import { link } from '../router.js';
import { can } from '../session.js';
import { badge, button, empty, linkButton, notice, pageHead, showIn, time } from '../components/ui.js';
import { confirm, formDialog, openDialog } from '../components/dialog.js';
import { field, input, values } from '../components/form.js';
import { toast } from '../components/toast.js';
import { plural } from '../format.js';

/** As large as a photograph may be here; the server has limits of its own. */
const LARGEST = 25e6;
const PHOTOS_SHOWN = 6;

const photo = (name, i) => h('img', { src: address(['faces', name, 'photographs', String(i)]), alt: `Photograph ${i + 1} of ${name}`, loading: 'lazy', width: 72, height: 72 });

/** A place to drop photographs on, or to choose them. */
function dropZone() {
  let files = [];
  const chosen = h('span', { class: 'muted small' }, 'JPEG, PNG or WebP, with one face each');
  const shots = h('div', { class: 'photos' });
  let urls = [];
  const release = () => {
    for (const url of urls) URL.revokeObjectURL(url);
    urls = [];
  };
  const take = (list) => {
    files = [...list].filter((f) => f.type.startsWith('image/'));
    release();
    urls = files.slice(0, PHOTOS_SHOWN).map((f) => URL.createObjectURL(f));
    fill(shots, urls.map((url) => h('img', { src: url, alt: '' })));
    chosen.textContent = files.length ? plural(files.length, 'photograph') : 'None of these is a picture';
  };
  const picker = h('input', { type: 'file', accept: 'image/*', multiple: true, class: 'sr', on: { change: () => take(picker.files) } });
  const root = h('div', { class: 'stack-tight' },
    h('label', { class: 'drop', on: {
      dragover: (e) => { e.preventDefault(); e.currentTarget.classList.add('over'); },
      dragleave: (e) => e.currentTarget.classList.remove('over'),
      drop: (e) => { e.preventDefault(); e.currentTarget.classList.remove('over'); take(e.dataTransfer.files); },
    } }, picker, h('strong', null, 'Choose photographs or drop them here'), chosen), shots);
  return { root, files: () => files, release };
}

async function enrol(known, name = '') {
  const zone = dropZone();
  const done = await formDialog(name ? `More photographs of ${name}` : 'Enrol somebody', [
    !name && field('Name', input('name', { required: true, list: 'known', autofocus: true })),
    h('datalist', { id: 'known' }, known.map((p) => h('option', { value: p.name }))),
    zone.root,
    h('p', { class: 'muted small' }, 'Three to five photographs in different light, seen from the front, are best.'),
  ], 'Enrol', async (form) => {
    const who = name || values(form).name;
    const files = zone.files();
    if (files.length === 0) throw new Error('Choose at least one photograph');
    const problems = [];
    let enrolled = 0;
    for (const file of files) {
      if (file.size > LARGEST) {
        problems.push(`${file.name} is too large`);
        continue;
      }
      try {
        const answer = await call('POST', ['faces', who, 'photographs'], { file });
        enrolled += 1;
        if (answer.warning) problems.push(`${file.name}: ${answer.warning}`);
      } catch (error) {
        if (error.status === 0 || error.status === 401 || error.status === 403) throw error;
        problems.push(`${file.name}: ${error.message}`);
      }
    }
    if (enrolled === 0) throw Object.assign(new Error('None could be enrolled'), { hint: problems.join('; ') });
    toast(`${plural(enrolled, 'photograph')} of ${who} enrolled`, { hint: problems.join('; ') || undefined });
    return true;
  });
  zone.release();
  return done;
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const writable = can('faces:write');
  const place = h('div', { class: 'stack' });
  let people = [];
  const add = writable && button('Enrol somebody', { icon: 'plus', class: 'primary', on: async () => { if (await enrol(people)) load(); } });
  host.append(pageHead('Faces', add), place);

  function card(p) {
    const shown = Math.min(p.photographs, PHOTOS_SHOWN);
    return h('article', { class: 'card stack-tight' },
      h('div', { class: 'row' }, h('h2', { class: 'grow break' }, p.name), badge(plural(p.photographs, 'photograph'))),
      h('button', { type: 'button', class: 'photos button plain', 'aria-label': `All photographs of ${p.name}`, on: { click: () => openDialog(p.name, h('div', { class: 'row' }, Array.from({ length: p.photographs }, (_, i) => h('img', { src: address(['faces', p.name, 'photographs', String(i)]), alt: `Photograph ${i + 1}`, width: 112, height: 112 })))) } },
        Array.from({ length: shown }, (_, i) => photo(p.name, i))),
      h('div', { class: 'muted small' }, 'Since ', time(p.added_at)),
      h('div', { class: 'row-tight' },
        can('events:read') && linkButton('Events', link(['events'], { q: p.name, span: '7d' }), { class: 'tiny' }),
        writable && button('Add photographs', { class: 'tiny', on: async () => { if (await enrol(people, p.name)) load(); } }),
        writable && button('Remove', { class: 'tiny danger', on: async () => {
          const done = await confirm({ title: `Remove ${p.name}?`, text: 'Their photographs are deleted, and they are no longer recognised. Events of the past stay.', action: 'Remove' }, () => del(['faces', p.name]));
          if (done) {
            toast(`${p.name} was removed`);
            load();
          }
        } })));
  }

  const load = () => showIn(place, async () => {
    const answer = await get('faces', {}, signal);
    people = answer.people;
    if (add) add.disabled = !answer.ready;
    return [
      !answer.ready && notice('warn', 'Faces cannot be enrolled now: the models for them are missing.', h('span', null, 'Add a face detector and an embedder with ', h('code', null, 'keepwatch model add FILE'), ', then start the server again.')),
      people.length
        ? h('div', { class: 'people' }, people.map(card))
        : empty('face', 'Nobody is known yet', writable ? 'Enrol somebody from photographs here, or from an event of an unknown face.' : 'An operator can enrol people.'),
    ];
  });
  load();
}
