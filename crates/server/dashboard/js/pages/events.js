// What happened: timeline, filters, and cards without end.

import { h, fill, debounce, reconcile } from '../dom.js';
import { get, aborted } from '../api.js';
import { here, link, go } from '../router.js';
import { cameras, refreshCameras } from '../status.js';
import { can } from '../session.js';
import { onEvent, stream } from '../stream.js';
import { button, empty, failed, kindDot, loading, pageHead } from '../components/ui.js';
import { chips, field, input, select } from '../components/form.js';
import { eventCard, updateCard } from '../components/event-card.js';
import { eventChanges, offerNeighbours } from '../components/event-dialog.js';
import { timelineChart } from '../components/timeline-chart.js';
import { addToTimeline, bucketCount, span } from '../timeline.js';
import { EventList, MOST_NEW, matches } from '../event-list.js';
import { KINDS, day, dayKey, inputTime, plural } from '../format.js';

const PAGE = 60;
const DRAW_MS = 150;
/** Who has scrolled further than this reads, and is not interrupted. */
const TOP_PX = 260;
/** A list that overflows with new events is loaded anew no more often than this. */
const RESTART_MS = 3000;
const SPANS = [['today', 'Today'], ['yesterday', 'Yesterday'], ['24h', 'Last 24 hours'], ['7d', 'Last 7 days'], ['30d', 'Last 30 days'], ['all', 'All of the time'], ['custom', 'From … to …']];

/**
 * What a page's address asks for.
 * @param {URLSearchParams} query
 * @param {number} now
 */
function filtersOf(query, now) {
  const since = Number(query.get('since')) || null;
  const until = Number(query.get('until')) || null;
  const name = since || until ? 'custom' : query.get('span') ?? 'today';
  const times = name === 'custom' ? { since, until } : name === 'all' ? { since: null, until: null } : span(name, now);
  // What ends now goes on: events of the next minutes belong to it.
  if (name === '24h') times.until = null;
  return { camera: query.getAll('camera'), kind: query.getAll('kind'), q: query.get('q') ?? '', name, ...times };
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export async function mount(host, route, signal) {
  let filters = filtersOf(route.query, Date.now());
  const list = new EventList();
  let load = new AbortController();
  let pending = 0;
  // Later states of an event are no further bars.
  const counted = new Set();

  /** Changes the address, which changes the page. */
  const change = (next) => {
    const f = { ...filters, ...next };
    go(link(['events'], { span: f.name === 'custom' || f.name === 'today' ? null : f.name, since: f.name === 'custom' ? f.since : null, until: f.name === 'custom' ? f.until : null, camera: f.camera, kind: f.kind, q: f.q }), { replace: true });
  };

  const chart = timelineChart((s) => change({ name: 'custom', ...s }));
  const spans = select('span', SPANS, filters.name, { on: { change: () => {
    if (spans.value === 'custom') change({ name: 'custom', ...span('today', Date.now()) });
    else change({ name: spans.value });
  } } });
  const fromInput = input('since', { type: 'datetime-local', on: { change: () => change({ name: 'custom', since: Date.parse(fromInput.value) || null }) } });
  const toInput = input('until', { type: 'datetime-local', on: { change: () => change({ name: 'custom', until: Date.parse(toInput.value) || null }) } });
  const custom = h('div', { class: 'row' }, field('From', fromInput), field('To', toInput));
  const search = input('q', { type: 'search', placeholder: 'Person, plate or object', value: filters.q, on: { input: debounce(250, () => change({ q: search.value.trim() })) } });
  const zoomOut = button('Zoom out', { icon: 'zoomOut', on: () => {
    const { since, until } = filters;
    const length = until - since;
    if (length * 3 >= 86400e3 && length < 86400e3) {
      const begin = span('today', since);
      change({ name: 'custom', ...begin });
    } else change({ name: 'custom', since: since - length, until: Math.min(until + length, span('today', Date.now()).until) });
  } });
  const kindPlace = h('div');
  const cameraPlace = h('div');
  const grid = h('div', { class: 'event-list' });
  const news = button('', { class: 'primary pill', icon: 'up', hidden: true, on: () => {
    window.scrollTo({ top: 0, behavior: 'smooth' });
    pending = 0;
    startedAt = 0;
    drawSoon();
  } });
  const foot = h('div');
  const place = h('div', { class: 'stack' }, grid);
  host.append(pageHead('Events'), h('div', { class: 'stack' },
    h('div', { class: 'filters' },
      h('div', { class: 'row' }, field('When', spans), custom, h('div', { class: 'grow' }, field('Search', search)), zoomOut),
      kindPlace, cameraPlace),
    chart.root, news, place, foot));

  function drawFilters() {
    spans.value = filters.name;
    custom.hidden = filters.name !== 'custom';
    zoomOut.hidden = filters.name !== 'custom' || !filters.since || !filters.until;
    if (filters.since) fromInput.value = inputTime(filters.since);
    if (filters.until) toInput.value = inputTime(filters.until);
    if (document.activeElement !== search) search.value = filters.q;
    // The focused chip stays: only what it stands for has changed.
    if (!kindPlace.contains(document.activeElement)) {
      fill(kindPlace, chips('Kinds', Object.entries(KINDS).map(([value, k]) => ({ value, text: k.name, before: kindDot(value) })), filters.kind, (kind) => change({ kind })));
    }
    drawCameras();
  }
  function drawCameras() {
    const names = [...new Set([...(cameras.get() ?? []).map((c) => c.name), ...filters.camera])];
    if (cameraPlace.contains(document.activeElement)) return;
    const key = JSON.stringify([names, filters.camera]);
    if (cameraPlace.dataset.key === key) return;
    cameraPlace.dataset.key = key;
    if (names.length > 1) fill(cameraPlace, chips('Cameras', names.map((value) => ({ value, text: value })), filters.camera, (camera) => change({ camera })));
    else fill(cameraPlace);
  }

  // Events may come in floods: what is drawn is drawn a few times a second at the most.
  let drawing = 0;
  const drawSoon = () => {
    drawing ||= setTimeout(() => {
      drawing = 0;
      chart.redraw();
      if (pending > 0) fill(news, plural(pending, 'new event'));
      news.hidden = pending === 0;
      if (!pending) showNew();
    }, DRAW_MS);
  };

  function draw() {
    const rows = [];
    let last = '';
    for (const event of list.all()) {
      const key = dayKey(event.started_at);
      if (key !== last) rows.push({ key: `day ${key}`, heading: day(event.started_at) });
      last = key;
      rows.push({ key: event.id, event });
    }
    reconcile(grid, rows, (r) => r.key,
      (r) => (r.event ? eventCard(r.event) : h('h2', null, r.heading)),
      (el, r) => { if (r.event) updateCard(el, r.event); else if (el.textContent !== r.heading) el.textContent = r.heading; });
    eventChanges.dispatchEvent(new Event('listed'));
  }

  /** Shows what came in. With too much of it the list is loaded anew, but not all the time. */
  function showNew() {
    if (list.overflown) {
      if (Date.now() - startedAt > RESTART_MS) restart();
      return;
    }
    list.trim();
    draw();
    if (rowsShown() > 0) drawFoot();
  }
  const rowsShown = () => grid.childElementCount;

  function drawFoot() {
    if (list.next) fill(foot, loading());
    else if (rowsShown() > 0) fill(foot, h('p', { class: 'muted small' }, 'Nothing before that.'));
    else {
      fill(foot, empty('events', 'Nothing here', filters.kind.length || filters.camera.length || filters.q
        ? 'No event fits these filters.' : filters.name === 'today' ? 'Nothing has happened today so far. New events appear here by themselves.' : 'Nothing happened in this time.',
      (filters.kind.length || filters.camera.length || filters.q) && button('Clear the filters', { on: () => { search.value = ''; change({ kind: [], camera: [], q: '' }); } }),
      filters.name === 'today' && button('Show the last 7 days', { on: () => change({ name: '7d' }) })));
    }
  }

  const queryOf = () => ({
    camera: filters.camera, kind: filters.kind, q: filters.q,
    since: filters.since && new Date(filters.since), until: filters.until && new Date(filters.until),
  });

  let startedAt = 0;
  let loadingMore = false;
  async function more() {
    if (loadingMore || list.next === null) return;
    loadingMore = true;
    const mine = load;
    try {
      const page = await get('events', { ...queryOf(), limit: PAGE, after: list.next }, mine.signal);
      if (mine.signal.aborted) return;
      list.addPage(page);
      draw();
      drawFoot();
    } catch (error) {
      if (!aborted(error) && !mine.signal.aborted) fill(foot, failed(error, () => { fill(foot, loading()); more(); }));
    } finally {
      if (mine === load) {
        loadingMore = false;
        if (!mine.signal.aborted) requestAnimationFrame(() => { if (nearEnd) more(); });
      }
    }
  }

  async function loadTimeline() {
    const mine = load;
    const now = Date.now();
    const since = filters.since ?? now - 90 * 86400e3;
    const until = filters.until ?? now;
    try {
      const timeline = await get('events/timeline', { camera: filters.camera, kind: filters.kind, since: new Date(since), until: new Date(until), buckets: bucketCount(until - since) }, mine.signal);
      if (!mine.signal.aborted) chart.set(timeline);
    } catch {
      // The list below says what is wrong.
    }
  }

  function restart() {
    load.abort();
    load = new AbortController();
    startedAt = Date.now();
    loadingMore = false;
    list.clear();
    pending = 0;
    news.hidden = true;
    fill(foot, loading());
    grid.replaceChildren();
    drawFilters();
    loadTimeline();
    more();
  }

  let nearEnd = false;
  const watcher = new IntersectionObserver(([entry]) => {
    nearEnd = entry.isIntersecting;
    if (nearEnd && list.next) more();
  }, { rootMargin: '900px' });
  watcher.observe(foot);

  window.addEventListener('scroll', () => {
    if (pending === 0 || window.scrollY > TOP_PX) return;
    pending = 0;
    drawSoon();
  }, { signal, passive: true });

  onEvent((event) => {
    if (filters.name === 'today' && Date.parse(event.started_at) >= filters.until) {
      // Midnight has passed.
      filters = filtersOf(here().query, Date.now());
      restart();
    }
    // The timeline counts whatever is searched for.
    if (!matches(event, { ...filters, q: '' })) return;
    const fits = matches(event, filters);
    const timeline = chart.get();
    if (timeline && !list.has(event.id) && !counted.has(event.id)) addToTimeline(timeline, event);
    counted.add(event.id);
    if (counted.size > MOST_NEW) counted.delete(counted.values().next().value);
    if (!fits) {
      drawSoon();
      return;
    }
    const what = list.tell(event);
    if (what === 'changed') {
      const card = grid.querySelector(`[data-key="${CSS.escape(event.id)}"]`);
      if (card) updateCard(card, event);
      return;
    }
    // Who reads further down is told, and nothing moves under their eyes.
    if (window.scrollY > TOP_PX || document.querySelector('dialog[open]')) pending += 1;
    drawSoon();
  }, signal);

  stream.addEventListener('gap', () => { if (window.scrollY <= TOP_PX) restart(); }, { signal });
  eventChanges.addEventListener('deleted', (e) => {
    list.remove(e.detail);
    draw();
    loadTimeline();
  }, { signal });
  offerNeighbours((id, by) => {
    const all = list.all();
    const i = all.findIndex((e) => e.id === id);
    if (by > 0 && i >= all.length - 3) more();
    return i < 0 ? null : all[i + by]?.id ?? null;
  }, signal);

  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, select, textarea, dialog')) return;
    if (e.key !== 'j' && e.key !== 'k') return;
    const cards = [...grid.querySelectorAll('.event')];
    const i = cards.indexOf(document.activeElement);
    const to = cards[i < 0 ? 0 : i + (e.key === 'j' ? 1 : -1)];
    to?.focus();
    to?.scrollIntoView({ block: 'nearest' });
    e.preventDefault();
  }, { signal });

  signal.addEventListener('abort', () => {
    load.abort();
    clearTimeout(drawing);
    watcher.disconnect();
    chart.destroy();
  });
  if (can('cameras:read')) {
    cameras.follow(drawCameras, signal);
    if (!cameras.get()) refreshCameras().catch(() => {});
  }
  restart();

  return (next) => {
    const wanted = filtersOf(next.query, Date.now());
    // An event that opens over the page changes the address and nothing of the list.
    const key = (f) => JSON.stringify([f.name, f.name === 'custom' && [f.since, f.until], f.camera, f.kind, f.q]);
    if (key(wanted) === key(filters)) return;
    filters = wanted;
    restart();
  };
}

