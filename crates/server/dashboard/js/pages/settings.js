// Settings: one's own account, users, tokens, and how the page looks.

import { h, fill } from '../dom.js';
import { link } from '../router.js';
import { can, session } from '../session.js';
import { pageHead, tabs } from '../components/ui.js';
import { segmented } from '../components/form.js';
import { theme, setTheme } from '../prefs.js';

function appearance(place) {
  fill(place, h('section', { class: 'card stack' }, h('h2', null, 'Theme'),
    h('div', null, segmented('Theme', [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']], theme(), setTheme)),
    h('p', { class: 'muted small' }, 'This browser remembers it.')),
  h('p', { class: 'muted small' }, `Keepwatch ${session.get()?.version ?? ''}`));
}

const TABS = [
  { key: 'account', name: 'Account', load: () => import('./account.js'), allowed: () => session.get()?.kind === 'session' },
  { key: 'users', name: 'Users', load: () => import('./users.js'), allowed: () => can('users:write') },
  { key: 'tokens', name: 'API tokens', load: () => import('./tokens.js'), allowed: () => session.get()?.kind === 'session' },
  { key: 'appearance', name: 'Appearance', load: async () => ({ mount: appearance }), allowed: () => true },
];

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const tabPlace = h('div');
  const place = h('div', { class: 'stack' });
  host.append(pageHead('Settings'), tabPlace, place);
  let current = '';
  let end = new AbortController();
  signal.addEventListener('abort', () => end.abort());
  const show = async (next) => {
    const allowed = TABS.filter((t) => t.allowed());
    const tab = allowed.find((t) => t.key === next.path[1]) ?? allowed[0];
    if (tab.key === current) return;
    current = tab.key;
    end.abort();
    end = new AbortController();
    const mine = end.signal;
    fill(tabPlace, tabs(allowed.map((t) => ({ name: t.name, href: link(['settings', t.key]), current: t === tab })), 'Settings'));
    const { mount: mountTab } = await tab.load();
    if (!mine.aborted) {
      fill(place);
      mountTab(place, mine);
    }
  };
  show(route);
  return show;
}
