// An event as a card that leads to it.

import { h, fill } from '../dom.js';
import { address } from '../api.js';
import { icon } from '../icons.js';
import { eventLink } from '../router.js';
import { kindDot } from './ui.js';
import * as format from '../format.js';

function length(event) {
  if (!event.ended_at) return 'now';
  const ms = Date.parse(event.ended_at) - Date.parse(event.started_at);
  return ms >= 1000 ? format.duration(Math.round(ms / 1000) * 1000).replace('.0', '') : '';
}

/** What is seen of an event here: when it stays the same, nothing is drawn again. */
const looks = (event) => JSON.stringify([event.label, event.ended_at, event.snapshot, Boolean(event.clip), event.details?.verdict, event.number]);

function draw(card, event, options) {
  const now = looks(event);
  card.event = event;
  if (card.looks === now) return;
  const hadPicture = card.querySelector('img');
  card.looks = now;
  const kind = format.KINDS[event.kind];
  const list = format.listed(event);
  const picture = event.snapshot && (hadPicture ?? h('img', { src: address(['events', event.id, 'snapshot']), alt: '', loading: 'lazy', decoding: 'async',
    on: { error: (e) => e.currentTarget.remove() } }));
  const took = length(event);
  fill(card,
    h('div', { class: 'pic' }, icon(kind?.icon ?? 'events'), picture,
      !event.ended_at ? h('span', { class: 'mark rec pulse' }, 'Now') : event.clip && h('span', { class: 'mark' }, took || 'Clip')),
    h('div', { class: 'text' },
      h('div', { class: 'what' }, kindDot(event.kind), h('strong', null, format.eventTitle(event)),
        h('time', { datetime: event.started_at, title: `${format.dateTime(event.started_at)} (${format.utc(event.started_at)})` }, options.withDay ? format.ago(event.started_at) : format.clock(event.started_at).slice(0, 5))),
      h('div', { class: 'muted small' }, format.eventTitle(event) !== format.kindName(event.kind) && `${format.kindName(event.kind)} · `, event.camera,
        list && h('span', { class: list === 'deny' ? 'bad' : 'good' }, list === 'deny' ? ' · denied' : ' · allowed'),
        event.reason && h('span', null, ` · ${event.reason}`))));
}

/**
 * @param {any} event
 * @param {{withDay?: boolean}} [options]
 */
export function eventCard(event, options = {}) {
  const card = h('a', { class: 'event', href: '#/events', data: { event: event.id } });
  // Made when it is followed: filters may have changed since the card was drawn.
  const aim = () => card.setAttribute('href', eventLink(event.id));
  aim();
  card.addEventListener('click', aim);
  draw(card, event, options);
  return card;
}

/** @param {Element} card @param {any} event @param {{withDay?: boolean}} [options] */
export const updateCard = (card, event, options = {}) => draw(card, event, options);
