// Starts the dashboard: who is it, which page, and what lies over it.

import { h } from './dom.js';
import { wire, call } from './api.js';
import { here, go, link } from './router.js';
import { session, loadSession, logout, can } from './session.js';
import { makeShell, homePage } from './shell.js';
import { followStatus } from './status.js';
import { startStream, stopStream } from './stream.js';
import { connection } from './connection.js';
import { failed, empty } from './components/ui.js';
import { overlayEvent } from './components/event-dialog.js';

/**
 * A page: `mount(host, route, signal)` draws it until the signal; what it returns, if anything,
 * is called with later routes of the same page.
 * @typedef {{title: string, permission: string|null, load: () => Promise<{mount: Function}>, nav?: string}} Page
 */

/** @type {Record<string, Page>} */
const PAGES = {
  live: { title: 'Live', permission: 'cameras:read', load: () => import('./pages/live.js') },
  camera: { title: 'Camera', permission: 'cameras:read', load: () => import('./pages/camera.js'), nav: 'live' },
  events: { title: 'Events', permission: 'events:read', load: () => import('./pages/events.js') },
  faces: { title: 'Faces', permission: 'faces:read', load: () => import('./pages/faces.js') },
  plates: { title: 'Plates', permission: 'plates:read', load: () => import('./pages/plates.js') },
  vault: { title: 'Vault', permission: 'vault:read', load: () => import('./pages/vault.js') },
  jobs: { title: 'Jobs', permission: 'jobs:read', load: () => import('./pages/jobs.js') },
  system: { title: 'System', permission: 'system:read', load: () => import('./pages/system.js') },
  settings: { title: 'Settings', permission: null, load: () => import('./pages/settings.js') },
};

const app = document.getElementById('app');
let shell = null;
let shellEnd = null;
let current = null;

function title(text) {
  document.title = text ? `${text} – Keepwatch` : 'Keepwatch';
}

/** The page without what lies over it: the same key is the same page. */
const keyOf = (route) => {
  const [name, ...rest] = route.path;
  return name === 'camera' ? `camera/${rest[0]}` : name;
};

function leavePage() {
  current?.end.abort();
  current = null;
}

function closeShell() {
  leavePage();
  shellEnd?.abort();
  shell = null;
  stopStream();
}

async function showDoor(route) {
  closeShell();
  const { mount } = await import('./pages/door.js');
  title('Log in');
  await mount(app, route, async () => {
    const next = here().query.get('next');
    go(next && /^#\/\w/.test(next) ? next : `#/${homePage()}`, { replace: true });
  });
}

function openShell() {
  shellEnd = new AbortController();
  shell = makeShell(async () => {
    await logout();
    go('#/login', { replace: true });
  }, shellEnd.signal);
  app.replaceChildren(shell.root);
  followStatus(shellEnd.signal);
  if (can('events:read')) startStream();
}

async function showPage(route) {
  const name = route.path[0];
  const page = PAGES[name];
  shell.setPage(page?.nav ?? name);
  const key = keyOf(route);
  if (current?.key === key) {
    current.update?.(route);
    return;
  }
  leavePage();
  const end = new AbortController();
  const mine = { key, end, update: null };
  current = mine;
  const host = h('div', { class: 'page' });
  shell.main.replaceChildren(host);
  window.scrollTo(0, 0);
  title(page?.title ?? 'Not found');
  if (!page) {
    host.append(empty('search', 'There is no such page', 'The address may be mistyped.'));
    return;
  }
  if (page.permission && !can(page.permission)) {
    host.append(empty('key', 'Not for this account', `It needs the permission ${page.permission}, which an administrator can give.`));
    return;
  }
  try {
    const { mount } = await page.load();
    if (end.signal.aborted) return;
    const update = await mount(host, route, end.signal);
    if (current === mine && typeof update === 'function') {
      mine.update = update;
      // The address may have changed while the page was loading.
      if (keyOf(here()) === key) update(here());
    }
  } catch (error) {
    if (!end.signal.aborted) host.replaceChildren(failed(error, () => { leavePage(); navigate(); }));
  }
}

let lastHash = '';

async function navigate() {
  const route = here();
  if (!session.get()) {
    if (route.path[0] !== 'login') {
      const next = location.hash.length > 2 ? location.hash : '';
      go(link(['login'], { next }), { replace: true });
      return;
    }
    await showDoor(route);
    return;
  }
  if (route.path.length === 0 || route.path[0] === 'login') {
    const next = route.query.get('next');
    go(next && /^#\/\w/.test(next) ? next : `#/${homePage()}`, { replace: true });
    return;
  }
  if (!shell) openShell();
  const moved = lastHash !== '' && keyOf(route) !== lastHash;
  lastHash = keyOf(route);
  await showPage(route);
  overlayEvent(route.query.get('event'));
  // Screen readers and the keyboard begin at the new page, not where the link was.
  if (moved && !document.querySelector('dialog[open]')) shell?.main.focus({ preventScroll: true });
}

async function start() {
  try {
    const { needed } = await call('GET', 'setup', { anonymous: true });
    if (!needed) await loadSession();
  } catch (error) {
    if (error.status !== 401) {
      app.replaceChildren(h('main', { class: 'door' }, h('div', { class: 'card' }, h('h1', { class: 'sr' }, 'Keepwatch'), failed(error, start))));
      connection.addEventListener('restored', start, { once: true });
      return;
    }
  }
  window.addEventListener('hashchange', navigate);
  await navigate();
}

wire.addEventListener('unauthenticated', () => {
  if (!session.get()) return;
  session.set(null);
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  navigate();
});

start();
