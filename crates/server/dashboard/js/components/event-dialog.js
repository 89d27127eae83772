// An event in full, over the page that is open: `?event=ID` in any page's address.

import { h, fill } from '../dom.js';
import { get, address } from '../api.js';
import { go, eventLink, link } from '../router.js';
import { session } from '../session.js';
import { onEvent } from '../stream.js';
import { openDialog } from './dialog.js';
import { badge, button, facts, failed, kindDot, loading, table, time } from './ui.js';
import { icon } from '../icons.js';
import { clipPlayer } from './clip-player.js';
import { eventActions } from './event-actions.js';
import * as format from '../format.js';

let open = null;
let neighbours = null;

/**
 * A page with a list of events says what stands before and after one of them.
 * @param {(id: string, by: 1|-1) => string|null} find
 * @param {AbortSignal} signal
 */
export function offerNeighbours(find, signal) {
  neighbours = find;
  signal.addEventListener('abort', () => { if (neighbours === find) neighbours = null; });
}

/** Tells `deleted` with an event's id as `detail`, and `listed` when a page's list has changed. */
export const eventChanges = new EventTarget();

/** @param {string|null} id opens it, changes to it, or closes */
export function overlayEvent(id) {
  if (!id) {
    open?.close();
    return;
  }
  if (open) open.show(id);
  else open = makeDialog(id);
}

function details(event) {
  const rows = Object.entries(event.details ?? {}).filter(([key]) => key !== 'verdict' && key !== 'picture').map(([key, value]) => [format.words(key), format.fact(key, value)]);
  const list = format.listed(event);
  const ms = event.ended_at ? Date.parse(event.ended_at) - Date.parse(event.started_at) : null;
  return facts([
    ['What', h('span', { class: 'row-tight' }, kindDot(event.kind), format.kindName(event.kind), list && badge(list === 'deny' ? 'denied' : 'allowed', list === 'deny' ? 'bad' : 'good'))],
    ['Who', event.label && (event.kind.startsWith('face') ? event.label : null)],
    ['Plate', event.kind === 'plate_read' ? h('span', { class: 'mono' }, event.label ?? '–') : null],
    ['Camera', h('a', { href: link(['camera', event.camera]) }, event.camera)],
    ['Began', h('span', null, format.day(event.started_at), ', ', time(event.started_at, 'clock'))],
    ['Lasted', ms === null ? h('span', { class: 'badge bad pulse' }, 'still going on') : format.duration(ms)],
    ['Certainty', event.score === null || event.score === undefined ? null : format.percent(event.score)],
    ['Reason', event.reason],
    ...rows,
    ['Number', h('span', { title: event.id }, format.number(event.number))],
  ]);
}

function observations(event, seek) {
  if (event.observations.length === 0) return null;
  const rows = event.observations.map((o) => h('tr', null,
    h('td', { class: 'nowrap' }, event.clip ? h('button', { type: 'button', class: 'button plain tiny', title: 'Show in the clip', on: { click: () => seek(o.at) } }, format.clock(o.at)) : format.clock(o.at)),
    h('td', { class: 'break' }, o.label), h('td', { class: 'num' }, format.percent(o.score))));
  return h('section', null, h('h3', null, `Seen ${event.observations.length === 1 ? 'once' : `${format.number(event.observations.length)} times`}`),
    h('div', { class: 'observations' }, table('Observations', ['At', 'What', { text: 'Certainty', class: 'num' }], rows)));
}

function makeDialog(first) {
  const end = new AbortController();
  let id = first;
  let event = null;
  let player = null;
  const previous = button('', { icon: 'up', label: 'Newer event (k)', class: 'plain', on: () => move(-1) });
  const next = button('', { icon: 'up', label: 'Older event (j)', class: 'plain', on: () => move(1) });
  next.firstElementChild.style.transform = 'rotate(180deg)';
  const media = h('div', null);
  const side = h('div', { class: 'facts-side' });
  const dialog = openDialog('Event', h('div', { class: 'event-parts' }, media, side), {
    class: 'event-dialog', actions: [previous, next],
    onClose: () => {
      end.abort();
      player?.destroy();
      const opener = document.querySelector(`[data-event="${CSS.escape(id)}"]`);
      open = null;
      if (session.get()) go(eventLink(null), { replace: true });
      opener?.focus({ preventScroll: true });
    },
  });

  function move(by) {
    const to = neighbours?.(id, by);
    if (to) go(eventLink(to), { replace: true });
  }

  function drawButtons() {
    previous.disabled = !neighbours?.(id, -1);
    next.disabled = !neighbours?.(id, 1);
  }
  eventChanges.addEventListener('listed', drawButtons, { signal: end.signal });

  function draw(fresh) {
    const before = event;
    event = fresh;
    fill(dialog.heading, format.eventTitle(event), ' ', h('span', { class: 'muted' }, `· ${event.camera}`));
    dialog.setAttribute('aria-label', `${format.eventTitle(event)}, ${event.camera}`);
    drawButtons();
    if (event.clip && player && before?.id === event.id) {
      player.update(event);
    } else if (event.clip) {
      player?.destroy();
      player = clipPlayer(event);
      fill(media, player.root);
    } else if (!before || before.id !== event.id || before.snapshot !== event.snapshot) {
      player?.destroy();
      player = null;
      fill(media, h('div', { class: 'media' }, event.snapshot
        ? h('div', { class: 'frame' }, h('img', { src: address(['events', event.id, 'snapshot']), alt: `Picture of ${event.camera}` }))
        : h('div', { class: 'empty' }, icon(format.KINDS[event.kind]?.icon ?? 'events'), h('p', null, 'There is no picture of this.'))));
    }
    fill(side, details(event), observations(event, (at) => player?.seekTo(at)),
      h('div', { class: 'row' }, eventActions(event, () => {
        eventChanges.dispatchEvent(new CustomEvent('deleted', { detail: event.id }));
        dialog.close();
      })));
  }

  async function show(wanted) {
    if (wanted === id && event) return;
    id = wanted;
    event = null;
    player?.destroy();
    player = null;
    fill(media, loading());
    fill(side);
    try {
      const fresh = await get(['events', wanted], {}, end.signal);
      if (id === wanted) draw(fresh);
    } catch (error) {
      if (end.signal.aborted || id !== wanted) return;
      fill(media, h('div', { class: 'dialog-body' }, error.status === 404 ? failed({ message: 'There is no such event (any more)' }) : failed(error, () => show(wanted))));
    }
  }

  onEvent((told) => { if (event && told.id === id) draw(told); }, end.signal);
  // Of the document: the focus leaves the dialog when a button that has it is disabled.
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, select, textarea')) return;
    if ([...document.querySelectorAll('dialog[open]')].at(-1) !== dialog) return;
    if (e.key === 'j') move(1);
    else if (e.key === 'k') move(-1);
    else if (!player?.key(e)) return;
    e.preventDefault();
  }, { signal: end.signal });
  dialog.heading.tabIndex = -1;
  dialog.heading.focus();
  show(first);
  return { show, close: () => dialog.close() };
}
