// Who may use Keepwatch.

import { h } from '../dom.js';
import { get, post, patch, del } from '../api.js';
import { session } from '../session.js';
import { badge, button, showIn, table, time } from '../components/ui.js';
import { confirm, formDialog } from '../components/dialog.js';
import { field, input, select, tick, values } from '../components/form.js';
import { toast } from '../components/toast.js';
import { cameraChoice } from '../components/camera-choice.js';
import { SHORTEST_PASSWORD } from './door.js';

const ROLES = [['viewer', 'Viewer: sees'], ['operator', 'Operator: sees, enrols, lists, exports, runs jobs'], ['admin', 'Admin: everything']];

async function addUser() {
  const cameras = await cameraChoice(null);
  return formDialog('Add a user', [
    field('Name', input('name', { required: true, autocapitalize: 'off', spellcheck: 'false', autofocus: true })),
    field('Password', input('password', { type: 'password', required: true, minlength: SHORTEST_PASSWORD, autocomplete: 'new-password' }), { help: `At least ${SHORTEST_PASSWORD} characters` }),
    field('Role', select('role', ROLES, 'viewer')),
    cameras.root,
  ], 'Add', (form) => {
    const v = values(form);
    const body = { name: v.name, password: form.elements.password.value, role: v.role };
    const chosen = cameras.value();
    if (chosen) body.cameras = chosen;
    return post('users', body);
  });
}

async function changeUser(user) {
  const cameras = await cameraChoice(user.cameras);
  const self = user.name === session.get().user;
  return formDialog(user.name, [
    field('Role', select('role', ROLES, user.role)),
    cameras.root,
    field('New password', input('password', { type: 'password', minlength: SHORTEST_PASSWORD, autocomplete: 'new-password', placeholder: 'unchanged' })),
    user.totp && tick('Take away the second factor, which was lost', { name: 'notp' }),
    !self && tick('Disabled: cannot log in', { name: 'disabled', checked: user.disabled }),
  ], 'Save', (form) => {
    const body = {};
    if (form.elements.role.value !== user.role) body.role = form.elements.role.value;
    const chosen = cameras.value();
    if (JSON.stringify(chosen) !== JSON.stringify(user.cameras)) body.cameras = chosen;
    if (form.elements.password.value) body.password = form.elements.password.value;
    if (form.elements.notp?.checked) body.totp = false;
    if (form.elements.disabled && form.elements.disabled.checked !== user.disabled) body.disabled = form.elements.disabled.checked;
    return Object.keys(body).length ? patch(['users', user.name], body) : true;
  });
}

/** @param {Element} host @param {AbortSignal} signal */
export function mount(host, signal) {
  const place = h('div');
  const load = () => showIn(place, async () => {
    const { users } = await get('users', {}, signal);
    return table('Users', ['Name', 'Role', 'Cameras', 'Second factor', 'Last login', ''], users.map((u) => h('tr', null,
      h('td', { class: 'break' }, h('strong', null, u.name), u.disabled && [' ', badge('disabled', 'warn')]),
      h('td', null, u.role), h('td', { class: 'break' }, u.cameras ? u.cameras.join(', ') || 'none' : 'all'),
      h('td', null, u.totp ? badge('on', 'good') : badge('off')), h('td', { class: 'nowrap' }, time(u.last_login_at, 'ago')),
      h('td', { class: 'act' }, button('Change', { class: 'tiny', 'aria-label': `Change ${u.name}`, on: async () => { if (await changeUser(u)) { toast(`${u.name} was saved`); load(); } } }), ' ',
        u.name !== session.get().user && button('', { icon: 'trash', label: `Remove ${u.name}`, class: 'plain tiny', on: async () => {
          const done = await confirm({ title: `Remove ${u.name}?`, text: 'Their sessions and tokens end at once.', action: 'Remove' }, () => del(['users', u.name]));
          if (done) {
            toast(`${u.name} was removed`);
            load();
          }
        } })))), { stacked: true });
  });
  host.append(h('section', { class: 'card' }, h('header', null, h('h2', null, 'Users'),
    button('Add a user', { icon: 'plus', class: 'primary', on: async () => { const u = await addUser(); if (u) { toast(`${u.name ?? 'The user'} was added`); load(); } } })), place));
  load();
}
