// How the machine is doing, and who did what.

import { h, fill, every, debounce } from '../dom.js';
import { get, aborted } from '../api.js';
import { link } from '../router.js';
import { can } from '../session.js';
import { button, facts, failed, loading, meter, notice, pageHead, tabs, time, table, empty } from '../components/ui.js';
import { field, input } from '../components/form.js';
import { icon } from '../icons.js';
import { ago, bytes, duration, fact, number, percent, words } from '../format.js';

const DAY = 86400e3;
const PAGE = 100;

const vital = (iconName, label, value, tone, more) => h('div', { class: 'card vital' },
  h('div', { class: 'label' }, icon(iconName), label), h('div', { class: `value ${tone ?? ''}` }, value), more && h('div', { class: 'muted small' }, more));

function health(s) {
  const disk = s.store?.disk;
  const used = disk?.total ? 1 - disk.free / disk.total : null;
  const full = used !== null && used > 0.92;
  const backup = s.last_backup;
  const drill = s.last_drill;
  const old = (at, ms) => Date.now() - Date.parse(at) > ms;
  return [
    s.problems.length
      ? h('section', { class: 'stack-tight', 'aria-label': 'Problems' }, s.problems.map((p) => notice('warn', p)))
      : notice('good', 'Everything is in order.'),
    h('div', { class: 'vitals' },
      vital('vault', 'Last backup', backup ? ago(backup.at) : 'never', !backup ? 'warn' : old(backup.at, 2 * DAY) ? 'bad' : 'good', backup ? [backup.job, ', ', time(backup.at)] : 'No backup has succeeded yet'),
      vital('shield', 'Last restore drill', drill ? `${drill.ok ? '' : 'failed '}${ago(drill.at)}` : 'never', !drill ? 'warn' : !drill.ok ? 'bad' : old(drill.at, 40 * DAY) ? 'warn' : 'good', drill ? [drill.ok ? 'passed: ' : '', drill.job, ', ', time(drill.at)] : 'Only a drill shows that backups restore'),
      vital('camera', 'Cameras', s.cameras.total ? `${s.cameras.live} of ${s.cameras.total} live` : 'none', s.cameras.offline ? 'bad' : '', s.cameras.offline ? `${s.cameras.offline} offline` : undefined),
      vital('events', 'Events today', number(s.events_today), '')),
    h('div', { class: 'columns' },
      h('section', { class: 'card stack' }, h('h2', null, 'Storage'),
        disk ? h('div', { class: 'stack-tight' }, meter(used, 'Used of the disk', full ? 'bad' : ''), h('span', { class: full ? 'bad' : '' }, `${bytes(disk.free)} free of ${bytes(disk.total)}, ${percent(used)} used`)) : h('p', { class: 'muted' }, 'The size of the disk is not known.'),
        facts([['Newest record', s.store && number(s.store.head)], ['Signed by', s.store?.signer && h('code', null, s.store.signer)]])),
      h('section', { class: 'card stack' }, h('h2', null, 'Server'),
        facts([['Version', s.version], ['Running for', duration(Date.now() - Date.parse(s.started_at))], ['Memory', bytes(s.memory_bytes)], ['Inference', s.inference ?? 'none'],
          ['Metrics', h('span', null, h('code', null, '/metrics'), ', for Prometheus')]]))),
  ];
}

function healthTab(place, signal) {
  const host = h('div', { class: 'stack' }, loading());
  fill(place, host);
  every(10000, async () => {
    try {
      fill(host, health(await get('system', {}, signal)));
    } catch (error) {
      if (!aborted(error) && (host.querySelector('.loading') || error.status)) fill(host, failed(error));
    }
  }, signal);
}

/** What an entry tells, which is a text or facts by name. @param {any} detail */
const detailText = (detail) => (detail && typeof detail === 'object'
  ? Object.entries(detail).map(([key, value]) => `${words(key).toLowerCase()}: ${Array.isArray(value) ? value.join(', ') : fact(key, value)}`).join('; ')
  : detail ?? '');

function auditTab(place, route, signal) {
  const results = h('div', { class: 'card' });
  const form = h('form', { class: 'form-grid', on: { submit: (e) => e.preventDefault(), input: debounce(300, () => load()) } },
    field('Who', input('actor', { value: route.query.get('actor') ?? '' })),
    field('What', input('action', { placeholder: 'login', list: 'actions' })),
    field('From', input('since', { type: 'datetime-local' })),
    field('To', input('until', { type: 'datetime-local' })));
  const actions = h('datalist', { id: 'actions' });
  fill(place, h('div', { class: 'stack' }, form, actions, results));
  const row = (e) => h('tr', null,
    h('td', { class: 'nowrap' }, time(e.at), ' ', h('span', { class: 'muted small' }, `#${number(e.number)}`)), h('td', null, e.actor), h('td', { class: 'mono' }, e.action), h('td', { class: 'break' }, detailText(e.detail)));
  // The server wants all of an act's name: those that were seen are offered.
  const known = new Set();
  const suggest = (entries) => {
    for (const e of entries) known.add(e.action);
    fill(actions, [...known].sort().map((value) => h('option', { value })));
  };
  let current = 0;
  async function load() {
    const mine = (current += 1);
    const value = (name) => form.elements[name].value.trim();
    const when = (name) => (value(name) ? new Date(value(name)) : undefined);
    const query = { actor: value('actor'), action: value('action'), since: when('since'), until: when('until'), limit: PAGE };
    fill(results, loading());
    const page = async (after) => get('audit', { ...query, after }, signal);
    try {
      const first = await page();
      if (mine !== current) return;
      suggest(first.entries);
      if (first.entries.length === 0) {
        fill(results, empty('search', 'Nothing', 'No entry fits.'));
        return;
      }
      const body = table('Audit log', ['When', 'Who', 'What', 'Details'], first.entries.map(row), { stacked: true });
      let { next } = first;
      const more = button('Older', { on: async () => {
        more.disabled = true;
        try {
          const older = await page(next);
          if (mine !== current) return;
          body.add(older.entries.map(row));
          next = older.next;
          more.hidden = !next;
        } catch (error) {
          results.append(failed(error));
        } finally {
          more.disabled = false;
        }
      } });
      more.hidden = !next;
      fill(results, h('div', { class: 'stack' }, body, h('div', null, more)));
    } catch (error) {
      if (mine === current && !aborted(error)) fill(results, failed(error, load));
    }
  }
  load();
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const tabPlace = h('div');
  const place = h('div');
  host.append(pageHead('System'), tabPlace, place);
  let tab = '';
  let end = new AbortController();
  signal.addEventListener('abort', () => end.abort());
  const show = (next) => {
    const wanted = next.path[1] === 'audit' && can('audit:read') ? 'audit' : 'health';
    if (wanted === tab) return;
    tab = wanted;
    end.abort();
    end = new AbortController();
    if (can('audit:read')) fill(tabPlace, tabs([{ name: 'Health', href: '#/system', current: tab === 'health' }, { name: 'Audit log', href: link(['system', 'audit']), current: tab === 'audit' }], 'System'));
    if (tab === 'audit') auditTab(place, next, end.signal);
    else healthTab(place, end.signal);
  };
  show(route);
  return show;
}
