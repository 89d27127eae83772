// The frame around every page: header with how things stand, navigation, place for the page.

import { h, fill, every } from './dom.js';
import { icon } from './icons.js';
import { button } from './components/ui.js';
import { openDialog } from './components/dialog.js';
import { ago, plural } from './format.js';
import { online, retryNow } from './connection.js';
import { system, cameras } from './status.js';
import { can, session } from './session.js';

/** Pages of the navigation: a page is shown where its permission is held. */
const NAV = [
  { page: 'live', name: 'Live', icon: 'live', permission: 'cameras:read' },
  { page: 'events', name: 'Events', icon: 'events', permission: 'events:read' },
  { page: 'faces', name: 'Faces', icon: 'face', permission: 'faces:read' },
  { page: 'plates', name: 'Plates', icon: 'plate', permission: 'plates:read' },
  { page: 'vault', name: 'Vault', icon: 'vault', permission: 'vault:read' },
  { page: 'jobs', name: 'Jobs', icon: 'jobs', permission: 'jobs:read' },
  { page: 'system', name: 'System', icon: 'system', permission: 'system:read' },
  { page: 'settings', name: 'Settings', icon: 'settings', permission: null },
];

/** @returns {typeof NAV} */
export const navigation = () => NAV.filter((item) => !item.permission || can(item.permission));

/** The first page that one may see. */
export const homePage = () => navigation()[0].page;

const DOCK = 4;
const DAY = 86400e3;

function stripItems() {
  if (!online.get()) {
    return [h('span', { class: 'item lost', role: 'alert' }, icon('warning'), 'Connection lost'), button('Retry', { class: 'tiny', on: retryNow })];
  }
  const items = [];
  const sys = system.get();
  const list = cameras.get();
  const count = list
    ? { live: list.filter((c) => c.state === 'live').length, offline: list.filter((c) => c.state === 'offline').length, total: list.length }
    : sys?.cameras;
  if (count && can('cameras:read')) {
    const text = count.offline ? `${count.offline} offline` : `${count.live} of ${count.total}`;
    items.push(h('a', { href: '#/live', class: count.offline ? 'bad' : '', title: `${plural(count.live, 'camera')} live, ${count.offline} offline` },
      icon(count.offline ? 'cameraOff' : 'camera'), h('span', { class: 'sr' }, 'Cameras: '), text, !count.offline && h('span', { class: 'sr' }, ' live')));
  }
  if (sys) {
    const tone = (at, old) => (!at ? 'warn' : Date.now() - Date.parse(at) > old ? 'bad' : '');
    const to = can('jobs:read') ? '#/jobs' : '#/system';
    // What is short on the screen is said in full.
    const item = (cls, name, said, shown, when) => h('a', { href: to, class: cls, title: `${said} ${when}` }, icon(name),
      h('span', { class: 'sr' }, `${said}: `), h('span', { class: 'wide', 'aria-hidden': 'true' }, shown), when);
    const backup = sys.last_backup;
    items.push(item(tone(backup?.at, 2 * DAY), 'vault', 'Last backup', 'Backup', backup ? ago(backup.at) : 'never'));
    const drill = sys.last_drill;
    items.push(item(drill && !drill.ok ? 'bad' : tone(drill?.at, 40 * DAY), 'shield', `Last restore drill${drill ? (drill.ok ? ' passed' : ' failed') : ''}`,
      drill && !drill.ok ? 'Drill failed' : 'Drill', drill ? ago(drill.at) : 'never'));
  }
  return items;
}

/**
 * @param {() => void} logOut
 * @param {AbortSignal} signal
 */
export function makeShell(logOut, signal) {
  const items = navigation();
  const entry = (item) => h('a', { href: `#/${item.page}`, data: { page: item.page } }, icon(item.icon), h('span', null, item.name));
  const strip = h('div', { class: 'strip', role: 'group', 'aria-label': 'How things stand' });
  const draw = () => fill(strip, stripItems());
  for (const s of [online, system, cameras]) s.follow(draw, signal);
  every(30000, draw, signal);

  const user = session.get();
  const leave = user.kind === 'session' && button('', { icon: 'logout', label: `Log out ${user.user}`, class: 'plain', on: logOut });
  const main = h('main', { id: 'main', tabindex: '-1' });
  const more = () => {
    const sheet = openDialog('More', h('ul', null, items.slice(DOCK).map((i) => h('li', null, entry(i)))), { class: 'sheet' });
    sheet.addEventListener('click', (event) => { if (event.target.closest('a')) sheet.close(); });
    mark(sheet);
  };
  let page = '';
  const side = h('nav', { class: 'side', 'aria-label': 'Pages' }, h('ul', null, items.map((i) => h('li', null, entry(i)))));
  const dock = h('nav', { class: 'dock', 'aria-label': 'Pages, short' }, items.slice(0, DOCK).map(entry),
    items.length > DOCK && h('button', { type: 'button', 'aria-haspopup': 'dialog', on: { click: more } }, icon('more'), h('span', null, 'More')));
  function mark(el) {
    for (const a of el.querySelectorAll('[data-page]')) {
      if (a.dataset.page === page) a.setAttribute('aria-current', 'page');
      else a.removeAttribute('aria-current');
    }
  }
  const root = h('div', { class: 'shell' },
    h('a', { href: '#main', class: 'skip', on: { click: (event) => { event.preventDefault(); main.focus(); } } }, 'Skip to content'),
    h('header', { class: 'top' }, h('a', { class: 'brand', href: `#/${homePage()}`, 'aria-label': 'Keepwatch' }, h('img', { src: 'favicon.svg', alt: '' }), h('span', null, 'Keepwatch')), strip, leave),
    side, main, dock);
  return {
    root, main,
    /** @param {string} name of the page that is open */
    setPage(name) {
      page = name;
      mark(side);
      mark(dock);
    },
  };
}
