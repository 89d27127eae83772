// API tokens, for programs.

import { h } from '../dom.js';
import { get, post, del } from '../api.js';
import { session } from '../session.js';
import { badge, button, empty, notice, showIn, table, time } from '../components/ui.js';
import { confirm, formDialog, openDialog } from '../components/dialog.js';
import { field, input, select, tick, values } from '../components/form.js';
import { secretBox } from '../components/secret.js';
import { cameraChoice } from '../components/camera-choice.js';
import { toast } from '../components/toast.js';

const DAY = 86400e3;
const LIVES = [['30', '30 days'], ['90', '90 days'], ['365', 'A year'], ['', 'Until it is removed']];

async function addToken() {
  const cameras = await cameraChoice(session.get().cameras);
  const boxes = session.get().permissions.map((p) => tick(p, { value: p, checked: p === 'events:read' || p === 'cameras:read' }));
  return formDialog('New API token', [
    field('Name', input('name', { required: true, placeholder: 'home-assistant', autofocus: true })),
    h('fieldset', { class: 'plain' }, h('legend', { class: 'legend' }, 'It may'), h('div', { class: 'form-grid' }, boxes)),
    cameras.root,
    field('It lives', select('life', LIVES, '90')),
  ], 'Make it', (form) => {
    const v = values(form);
    const permissions = boxes.map((b) => b.firstElementChild).filter((b) => b.checked).map((b) => b.value);
    if (permissions.length === 0) throw new Error('Choose at least one permission');
    const body = { name: v.name, permissions };
    const chosen = cameras.value();
    if (chosen) body.cameras = chosen;
    if (v.life) body.expires_at = new Date(Date.now() + Number(v.life) * DAY).toISOString();
    return post('tokens', body);
  });
}

/** @param {Element} host @param {AbortSignal} signal */
export function mount(host, signal) {
  const place = h('div');
  const load = () => showIn(place, async () => {
    const { tokens } = await get('tokens', {}, signal);
    if (tokens.length === 0) return empty('key', 'No tokens', 'Programs such as Home Assistant use a token in place of a password.');
    return table('API tokens', ['Name', 'User', 'Allows', 'Cameras', 'Expires', 'Last used', ''], tokens.map((t) => {
      const over = t.expires_at && Date.parse(t.expires_at) < Date.now();
      return h('tr', null,
        h('td', { class: 'break' }, h('strong', null, t.name)), h('td', null, t.user), h('td', { class: 'small' }, t.permissions.join(', ')),
        h('td', { class: 'small break' }, t.cameras ? t.cameras.join(', ') : 'all'),
        h('td', { class: 'nowrap' }, t.expires_at ? (over ? badge('expired', 'bad') : time(t.expires_at, 'ago')) : 'never'), h('td', { class: 'nowrap' }, time(t.last_used_at, 'ago')),
        h('td', { class: 'act' }, button('', { icon: 'trash', label: `Remove ${t.name}`, class: 'plain tiny', on: async () => {
          const done = await confirm({ title: `Remove ${t.name}?`, text: 'Whatever uses it is refused from now on.', action: 'Remove' }, () => del(['tokens', t.id]));
          if (done) {
            toast(`${t.name} was removed`);
            load();
          }
        } })));
    }), { stacked: true });
  });
  host.append(h('section', { class: 'card' }, h('header', null, h('h2', null, 'API tokens'),
    button('New token', { icon: 'plus', class: 'primary', on: async () => {
      const made = await addToken();
      if (!made) return;
      openDialog(made.name, [notice('warn', 'The token is shown this once.', 'Put it where the program looks for it, now.'), secretBox(made.token)]);
      load();
    } })), place));
  load();
}
