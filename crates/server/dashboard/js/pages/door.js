// First start and login.

import { h } from '../dom.js';
import { call } from '../api.js';
import { setSession } from '../session.js';
import { button, notice, failed } from '../components/ui.js';
import { field, input, values } from '../components/form.js';
import { duration } from '../format.js';

const brand = () => h('div', { class: 'brand' }, h('img', { src: 'favicon.svg', alt: '' }), h('span', null, 'Keepwatch'));

/** Passwords have at least so many characters. */
export const SHORTEST_PASSWORD = 12;

function form(title, intro, fields, action, send) {
  const problem = h('div', { 'aria-live': 'polite' });
  const submit = button(action, { class: 'primary', type: 'submit' });
  const el = h('form', { class: 'form', on: { submit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.replaceChildren();
    try {
      await send(values(el), el);
    } catch (error) {
      if (error.status === 429 && error.retryAfter) countDown(problem, submit, error);
      else problem.replaceChildren(failed(error));
    } finally {
      if (!submit.dataset.wait) submit.disabled = false;
    }
  } } }, h('h1', null, title), intro && h('p', { class: 'muted' }, intro), fields, problem, submit);
  return { el, problem, submit };
}

function countDown(problem, submit, error) {
  const until = Date.now() + error.retryAfter * 1000;
  submit.dataset.wait = '1';
  const left = h('span');
  // Read out once, not each second.
  problem.replaceChildren(notice('warn', 'Too many attempts', h('span', null, 'One can try again in ', left, '.')));
  const step = () => {
    const ms = until - Date.now();
    if (ms <= 0 || !problem.isConnected) {
      delete submit.dataset.wait;
      submit.disabled = false;
      problem.replaceChildren();
      return;
    }
    left.textContent = duration(Math.ceil(ms / 1000) * 1000).replace('.0', '');
    setTimeout(step, 1000);
  };
  step();
}

function setupForm(done) {
  const { el } = form('Welcome', 'The first account administers Keepwatch. The setup code was printed when the server started.', [
    field('Setup code', input('code', { required: true, autocapitalize: 'off', spellcheck: 'false', class: 'input mono' })),
    field('Name', input('user', { required: true, autocomplete: 'username', autocapitalize: 'off', spellcheck: 'false' })),
    field('Password', input('password', { type: 'password', required: true, minlength: SHORTEST_PASSWORD, autocomplete: 'new-password' }), { help: `At least ${SHORTEST_PASSWORD} characters. Several words are good.` }),
    field('Password again', input('again', { type: 'password', required: true, autocomplete: 'new-password' })),
  ], 'Begin', async (v, element) => {
    const password = element.elements.password.value;
    if (password !== element.elements.again.value) throw new Error('The two passwords differ');
    setSession(await call('POST', 'setup', { body: { code: v.code, user: v.user, password }, anonymous: true }));
    await done();
  });
  return el;
}

function loginForm(done) {
  const code = input('totp', { inputmode: 'text', autocomplete: 'one-time-code', autocapitalize: 'off', spellcheck: 'false', class: 'input mono' });
  const second = h('div', { hidden: true }, field('Code', code, { help: 'Six digits from the authenticator, or a recovery code' }));
  const first = h('div', { class: 'form' },
    field('Name', input('user', { required: true, autocomplete: 'username', autocapitalize: 'off', spellcheck: 'false', autofocus: true })),
    field('Password', input('password', { type: 'password', required: true, autocomplete: 'current-password' })));
  const { el, submit } = form('Log in', null, [first, second], 'Log in', async (v, element) => {
    const body = { user: v.user, password: element.elements.password.value };
    const asked = !second.hidden;
    if (asked && v.totp) body.totp = v.totp.replace(/\s/g, '');
    try {
      setSession(await call('POST', 'session', { body, anonymous: true }));
    } catch (error) {
      if (!error.totpRequired) throw error;
      second.hidden = false;
      first.hidden = true;
      code.required = true;
      submit.textContent = 'Continue';
      code.value = '';
      code.focus();
      if (!asked) return;
      throw error;
    }
    await done();
  });
  return el;
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {() => Promise<void>} done called when somebody is logged in
 */
export async function mount(host, route, done) {
  let needed = false;
  let problem = null;
  try {
    ({ needed } = await call('GET', 'setup', { anonymous: true }));
  } catch (error) {
    problem = failed(error);
  }
  const content = needed ? setupForm(done) : loginForm(done);
  host.replaceChildren(h('main', { class: 'door' }, h('div', { class: 'card' }, brand(), problem, content)));
  content.querySelector('input')?.focus();
}
