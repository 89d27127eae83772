// One's own account: password, second factor, sessions.

import { h, fill } from '../dom.js';
import { call, get, del } from '../api.js';
import { loadSession, session } from '../session.js';
import { badge, button, facts, failed, notice, showIn, table, time } from '../components/ui.js';
import { formDialog, openDialog, confirm } from '../components/dialog.js';
import { field, input, values } from '../components/form.js';
import { secretBox, saveText } from '../components/secret.js';
import { toast, toastError } from '../components/toast.js';
import { agentName } from '../format.js';
import { SHORTEST_PASSWORD } from './door.js';

function passwordCard() {
  const problem = h('div', { 'aria-live': 'polite' });
  const form = h('form', { class: 'form', on: { submit: async (event) => {
    event.preventDefault();
    fill(problem);
    const [old, next, again] = ['old', 'new', 'again'].map((n) => form.elements[n].value);
    if (next !== again) {
      fill(problem, notice('bad', 'The two new passwords differ'));
      return;
    }
    try {
      await call('PUT', 'session/password', { body: { old, new: next }, anonymous: true });
      form.reset();
      toast('The password was changed', { hint: 'Your other sessions have ended.' });
    } catch (error) {
      fill(problem, failed(error));
    }
  } } },
  // For password managers, which look for a name beside a password.
  h('input', { type: 'text', name: 'username', autocomplete: 'username', value: session.get().user, hidden: true }),
  field('Old password', input('old', { type: 'password', required: true, autocomplete: 'current-password' })),
  field('New password', input('new', { type: 'password', required: true, minlength: SHORTEST_PASSWORD, autocomplete: 'new-password' }), { help: `At least ${SHORTEST_PASSWORD} characters` }),
  field('New password again', input('again', { type: 'password', required: true, autocomplete: 'new-password' })),
  problem, h('div', { class: 'actions' }, button('Change the password', { type: 'submit', class: 'primary' })));
  return h('section', { class: 'card' }, h('header', null, h('h2', null, 'Password')), form);
}

/** Shows recovery codes, which are not shown again. */
function showCodes(codes) {
  openDialog('Recovery codes', [
    notice('warn', 'They are shown this once.', 'Each lets you in once without the authenticator. Keep them where you keep other important papers.'),
    h('div', { class: 'codes' }, codes.map((c) => h('span', null, c))),
    h('div', { class: 'actions' }, button('Copy', { icon: 'copy', on: () => navigator.clipboard.writeText(codes.join('\n')).then(() => toast('Copied'), toastError) }),
      button('Save as a file', { icon: 'download', on: () => saveText('keepwatch-recovery-codes.txt', `${codes.join('\n')}\n`) })),
  ]);
}

async function enable(redraw) {
  const offer = await formDialog('Second factor', [
    h('p', null, 'An authenticator on your phone then tells a code that is asked for besides the password.'),
    field('Password', input('password', { type: 'password', required: true, autocomplete: 'current-password', autofocus: true })),
  ], 'Continue', (form) => call('POST', 'session/totp', { body: { password: form.elements.password.value }, anonymous: true }));
  if (!offer) return;
  // The server's own drawing, shown as a picture: nothing in it can run.
  const qr = h('img', { class: 'qr', alt: 'QR code for the authenticator', src: offer.qr.startsWith('data:') ? offer.qr : `data:image/svg+xml;charset=utf-8,${encodeURIComponent(offer.qr)}` });
  const codes = await formDialog('Second factor', [
    h('p', null, 'Scan this with the authenticator, or type the secret into it.'), qr,
    secretBox(offer.secret),
    field('Code that it shows', input('totp', { required: true, inputmode: 'numeric', pattern: '[0-9 ]{6,7}', autocomplete: 'one-time-code', class: 'input mono', autofocus: true })),
  ], 'Turn on', (form) => call('PUT', 'session/totp', { body: { totp: values(form).totp.replace(/\s/g, '') }, anonymous: true }));
  if (!codes) return;
  await loadSession();
  redraw();
  showCodes(codes.recovery_codes);
}

async function disable(redraw) {
  const done = await formDialog('Turn off the second factor', [
    field('Password', input('password', { type: 'password', required: true, autocomplete: 'current-password', autofocus: true })),
  ], 'Turn off', (form) => call('DELETE', 'session/totp', { body: { password: form.elements.password.value }, anonymous: true }));
  if (!done) return;
  await loadSession();
  redraw();
  toast('The second factor is off');
}

function factorCard() {
  const card = h('section', { class: 'card stack' });
  const draw = () => {
    const s = session.get();
    fill(card, h('div', { class: 'row' }, h('h2', { class: 'grow' }, 'Second factor'), s.totp ? badge('On', 'good', 'check') : badge('Off', 'warn')),
      s.totp
        ? [h('p', { class: s.recovery_codes < 3 ? 'warn' : 'muted' }, `${s.recovery_codes} recovery codes are left.`),
          h('div', { class: 'row' }, button('New codes and authenticator', { on: () => enable(draw) }), button('Turn off', { class: 'danger', on: () => disable(draw) }))]
        : [h('p', { class: 'muted' }, 'With it, a stolen password alone opens nothing.'), h('div', null, button('Turn on', { class: 'primary', icon: 'shield', on: () => enable(draw) }))]);
  };
  draw();
  return card;
}

function sessionsCard(signal) {
  const place = h('div');
  const load = () => showIn(place, async () => {
    const { sessions } = await get('sessions', {}, signal);
    return table('Sessions', ['Browser', 'Address', 'Last used', ''], sessions.map((s) => h('tr', null,
      h('td', { title: s.agent ?? '' }, agentName(s.agent), s.current && [' ', badge('this one', 'good')]),
      h('td', { class: 'mono' }, s.address), h('td', { class: 'nowrap' }, time(s.last_used_at, 'ago')),
      h('td', { class: 'act' }, !s.current && button('End', { class: 'tiny danger', 'aria-label': `End the session of ${agentName(s.agent)}`, on: async () => {
        const done = await confirm({ title: 'End this session?', text: `${agentName(s.agent)} at ${s.address} has to log in again.`, action: 'End it' }, () => del(['sessions', s.id]));
        if (done) load();
      } })))), { stacked: true });
  });
  load();
  return h('section', { class: 'card' }, h('header', null, h('h2', null, 'Sessions')), place);
}

/** @param {Element} host @param {AbortSignal} signal */
export function mount(host, signal) {
  const s = session.get();
  host.append(
    h('section', { class: 'card' }, facts([['Name', s.user], ['Role', s.role], ['Cameras', s.cameras ? s.cameras.join(', ') || 'none' : 'all']])),
    h('div', { class: 'columns' }, passwordCard(), h('div', { class: 'stack' }, factorCard(), sessionsCard(signal))));
}

