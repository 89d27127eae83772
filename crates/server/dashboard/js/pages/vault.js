// Backups: repositories, their snapshots, and what is in them.

import { h, fill } from '../dom.js';
import { get, address } from '../api.js';
import { link } from '../router.js';
import { badge, button, empty, facts, linkButton, notice, pageHead, showIn, table, time } from '../components/ui.js';
import { input } from '../components/form.js';
import { icon } from '../icons.js';
import { bytes, number, plural } from '../format.js';

const PAGE = 200;
const ICONS = { dir: 'folder', file: 'file', symlink: 'link', other: 'file' };

/**
 * The way to a folder.
 * @param {string} path begins with `/`
 * @returns {{name: string, path: string}[]} from the root on, itself last
 */
export function crumbs(path) {
  const parts = path.split('/').filter(Boolean);
  return [{ name: '/', path: '/' }, ...parts.map((name, i) => ({ name, path: `/${parts.slice(0, i + 1).join('/')}` }))];
}

/** @param {string} path @param {string} name @returns {string} */
export const join = (path, name) => (path === '/' ? `/${name}` : `${path}/${name}`);

/** @param {string} mode in octal, as the API tells it @returns {string} `rwxr-xr-x` */
export const modeText = (mode) => [6, 3, 0].map((s) => ['r', 'w', 'x'].map((c, i) => ((Number.parseInt(mode, 8) >> s) & (4 >> i) ? c : '-')).join('')).join('');

function trail(items) {
  return h('nav', { 'aria-label': 'Where this is' }, h('ol', { class: 'crumbs' }, items.map((item, i) => h('li', null,
    i > 0 && h('span', { class: 'muted', 'aria-hidden': 'true' }, '›'),
    i === items.length - 1 ? h('span', { 'aria-current': 'page' }, item.name) : h('a', { href: item.href }, item.name)))));
}

async function repositories(signal) {
  const { repositories: list } = await get('repositories', {}, signal);
  if (list.length === 0) {
    return empty('vault', 'No repositories', 'Name repositories in the configuration file; the backups in them can then be looked into here.');
  }
  return h('div', { class: 'columns' }, list.map((r) => h('article', { class: 'card stack' },
    h('div', { class: 'row' }, h('h2', { class: 'grow break' }, r.name), badge(r.state === 'ok' ? 'In order' : 'Problem', r.state === 'ok' ? 'good' : 'bad', r.state === 'ok' ? 'check' : 'warning')),
    r.problem && notice('bad', r.problem),
    facts([['Snapshots', r.snapshots === null || r.snapshots === undefined ? '–' : number(r.snapshots)], ['Latest', time(r.last_snapshot, 'ago')], ['Stored', bytes(r.bytes)]]),
    linkButton('Snapshots', link(['vault', r.name]), { class: 'primary' }))));
}

async function snapshots(repository, signal) {
  const { snapshots: list } = await get(['repositories', repository, 'snapshots'], {}, signal);
  const rows = h('div');
  const search = input('q', { type: 'search', placeholder: 'Host, path or tag', 'aria-label': 'Filter snapshots', class: 'input auto' });
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const shown = list.filter((s) => [s.host, s.user, ...(s.paths ?? []), ...(s.tags ?? []), s.id].join('\n').toLowerCase().includes(wanted));
    fill(rows, shown.length === 0 ? empty('vault', list.length ? 'None fits' : 'No snapshots yet', list.length ? 'No snapshot has this in its host, paths or tags.' : h('span', null, 'Start a backup job, or run ', h('code', null, 'keepwatch backup'), '.'))
      : table('Snapshots', ['Made', 'Host', 'Paths', 'Tags', { text: 'Files', class: 'num' }, { text: 'Size', class: 'num' }, ''], shown.map((s) => h('tr', null,
        h('td', { class: 'nowrap' }, time(s.time), !s.complete && [' ', badge('incomplete', 'warn')]),
        h('td', null, s.host), h('td', { class: 'break' }, (s.paths ?? []).join(', ')),
        h('td', null, h('span', { class: 'row-tight' }, (s.tags ?? []).map((t) => badge(t)))),
        h('td', { class: 'num' }, number(s.files)), h('td', { class: 'num' }, bytes(s.bytes)),
        h('td', { class: 'act' }, linkButton('Browse', link(['vault', repository, s.id]), { class: 'tiny' })))), { stacked: true }));
  };
  search.addEventListener('input', draw);
  draw();
  return [h('div', { class: 'row' }, trail([{ name: 'Vault', href: '#/vault' }, { name: repository }]), h('div', { class: 'end' }, search)), h('div', { class: 'card' }, rows)];
}

function entryRow(repository, snapshot, path, e) {
  const full = join(path, e.name);
  const base = ['repositories', repository, 'snapshots', snapshot];
  const name = e.kind === 'dir'
    ? h('a', { href: link(['vault', repository, snapshot], { path: full }) }, e.name)
    : h('span', null, e.name, e.target && h('span', { class: 'muted' }, ` → ${e.target}`));
  return h('tr', null,
    h('td', null, h('span', { class: 'entry' }, icon(ICONS[e.kind] ?? 'file'), h('span', { class: 'sr' }, { dir: 'Folder', file: 'File', symlink: 'Link', other: 'Other' }[e.kind]), name)),
    h('td', { class: 'num' }, e.kind === 'file' ? bytes(e.size) : ''),
    h('td', { class: 'nowrap hide-small' }, time(e.modified_at)),
    h('td', { class: 'mono hide-small', title: e.mode }, modeText(e.mode)),
    h('td', { class: 'act' }, e.kind === 'file' && linkButton('', address([...base, 'file'], { path: full }), { icon: 'download', label: `Download ${e.name}`, class: 'plain tiny', download: e.name })));
}

async function tree(repository, snapshot, path, signal) {
  const base = ['repositories', repository, 'snapshots', snapshot];
  const first = await get([...base, 'tree'], { path, limit: PAGE }, signal);
  const body = table(`What is in ${path}`, ['Name', { text: 'Size', class: 'num' }, { text: 'Changed', class: 'hide-small' }, { text: 'Mode', class: 'hide-small' }, ''],
    first.entries.map((e) => entryRow(repository, snapshot, path, e)));
  const foot = h('div', { class: 'muted small row' });
  let count = first.entries.length;
  let next = first.next;
  const drawFoot = () => fill(foot, `${plural(count, 'entry', 'entries')}${next ? ' so far' : ''}`, next && button('Show more', { class: 'tiny', on: async (event) => {
    const b = event.currentTarget;
    b.disabled = true;
    try {
      const page = await get([...base, 'tree'], { path, limit: PAGE, after: next }, signal);
      body.add(page.entries.map((e) => entryRow(repository, snapshot, path, e)));
      count += page.entries.length;
      next = page.next;
      drawFoot();
    } catch (error) {
      b.disabled = false;
      foot.append(h('span', { class: 'bad' }, error.message));
    }
  } }));
  drawFoot();
  const way = crumbs(path).map((c, i) => ({ name: i === 0 ? snapshot.slice(0, 8) : c.name, href: link(['vault', repository, snapshot], { path: c.path }) }));
  return [
    trail([{ name: 'Vault', href: '#/vault' }, { name: repository, href: link(['vault', repository]) }, ...way]),
    h('div', { class: 'card stack' }, first.entries.length ? body : empty('folder', 'Nothing in here', 'This folder was empty when it was backed up.'), foot),
  ];
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const place = h('div', { class: 'stack' });
  host.append(pageHead('Vault'), place);
  let key = null;
  const show = (next) => {
    const [, repository, snapshot] = next.path;
    const path = next.query.get('path') ?? '/';
    const wanted = JSON.stringify([repository, snapshot, path]);
    if (wanted === key) return;
    key = wanted;
    const mine = h('div', { class: 'stack' });
    fill(place, mine);
    showIn(mine, () => (snapshot ? tree(repository, snapshot, path, signal) : repository ? snapshots(repository, signal) : repositories(signal)));
  };
  show(route);
  return show;
}
