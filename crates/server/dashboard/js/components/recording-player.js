// What a camera recorded on a day: a video that goes on from one stretch to the next, and below
// it the day as a line with what happened.

import { h, fill, every } from '../dom.js';
import { get, address, aborted } from '../api.js';
import { button, empty, failed, kindDot, linkButton } from './ui.js';
import { input, select } from './form.js';
import { openFilm } from './film-view.js';
import { recordingLine } from './recording-line.js';
import { around, dayOf, following, placeOf, stretches, unbroken, zoomed } from '../recording.js';
import { clock, duration, eventTitle, plural } from '../format.js';

const PAGE = 1000;
const SPEEDS = [['0.5', '0.5 ×'], ['1', '1 ×'], ['2', '2 ×'], ['4', '4 ×'], ['8', '8 ×']];
/** A stretch lasts a minute: the first of a day may have begun on the day before. */
const BEFORE_MS = 5 * 60e3;
/** Of a day that still goes on, what is new is asked for so often. */
const AGAIN_MS = 20000;
/** An event is played from a little before it. */
const CONTEXT_MS = 3000;
const MOST_LISTED = 300;

/**
 * @param {string} camera name
 * @param {{day: string, at: number|null}} wanted a day of the calendar, and a moment to begin with
 * @param {(day: string) => void} changed called when another day is chosen
 * @param {AbortSignal} signal
 * @returns {{root: HTMLElement, side: HTMLElement, open: (wanted: {day: string, at: number|null}) => void}}
 *   `side` lists what happened on the day
 */
export function recordingPlayer(camera, wanted, changed, signal) {
  let day = dayOf(wanted.at ? dayOf('', wanted.at).text : wanted.day, Date.now());
  let shown = day;
  let list = [];
  let events = [];
  let playing = null;
  let at = wanted.at ?? day.since;
  let asked = 0;
  let loaded = false;

  const own = h('video', { controls: true, playsinline: true, muted: true, preload: 'auto', 'aria-label': `Recording of ${camera}` });
  /** What plays: the browser's own player, or ours of pictures. */
  let video = own;
  let pictures = false;
  let running = false;
  /** The stretch that what plays is of: ours has to be loaded first. */
  let showing = null;
  let opening = null;
  const frame = h('div', { class: 'frame' }, own);
  const nothing = h('div', { hidden: true });
  const told = h('span', { class: 'told small muted', role: 'status' });
  const moment = h('strong', { class: 'moment' });
  const date = input('day', { type: 'date', class: 'input auto', 'aria-label': 'Day', max: dayOf('', Date.now()).text, on: { change: () => { if (date.value) changed(date.value); } } });
  const later = button('', { icon: 'up', label: 'The day after', class: 'plain turn-right', on: () => changed(dayOf(day.text, Date.now(), 1).text) });
  const earlier = button('', { icon: 'up', label: 'The day before', class: 'plain turn-left', on: () => changed(dayOf(day.text, Date.now(), -1).text) });
  const closer = button('', { icon: 'plus', label: 'Look closer', class: 'plain', on: () => zoom(1) });
  const further = button('', { icon: 'zoomOut', label: 'See more of the day', class: 'plain', on: () => zoom(-1) });
  const speed = select('speed', SPEEDS, '1', { class: 'input auto', 'aria-label': 'Speed', on: { change: () => { video.playbackRate = Number(speed.value); } } });
  const save = linkButton('', '#', { icon: 'download', label: 'Download what is played', hidden: true });
  const line = recordingLine((time) => play(time));
  const root = h('div', { class: 'recording' },
    h('div', { class: 'media' }, frame, nothing),
    h('div', { class: 'player-bar' }, earlier, date, later, moment, h('span', { class: 'row-tight end' }, further, closer, speed, save)),
    line.root, told);

  const side = h('ul', { class: 'happened' });
  const drawSide = () => fill(side, events.length === 0 && loaded ? h('li', { class: 'muted' }, 'Nothing happened on this day.')
    : events.slice(0, MOST_LISTED).map((e) => h('li', null, h('button', { type: 'button', class: 'button plain', on: { click: () => play(Date.parse(e.started_at) - CONTEXT_MS) } },
      kindDot(e.kind), h('span', { class: 'mono' }, clock(e.started_at)), h('span', { class: 'grow' }, eventTitle(e))))));

  const draw = () => {
    line.set({ shown, day, list, events });
    further.disabled = shown.until - shown.since >= day.until - day.since;
    closer.disabled = zoomed(shown, day, at, 1).until - zoomed(shown, day, at, 1).since >= shown.until - shown.since;
  };
  const zoom = (step) => {
    shown = zoomed(shown, day, at, step);
    draw();
  };
  const moveTo = (time) => {
    at = time;
    moment.textContent = clock(at);
    line.moveTo(at);
    // What is played stays in sight.
    if (at >= shown.until || at < shown.since) {
      shown = around(day, at, shown.until - shown.since);
      draw();
    }
  };

  function show(next) {
    if (video === next) return;
    video.pause();
    frame.replaceChildren(next.root ?? next);
    video = next;
  }

  function playOwn(stretch, offset) {
    showing = stretch.id;
    // A fragment of the address: the player begins there, and does not show the beginning first.
    own.src = `${address(['segments', stretch.id, 'video'])}#t=${offset.toFixed(3)}`;
    own.playbackRate = Number(speed.value);
  }

  /** Plays what the browser does not: a film of pictures. */
  async function openPictures(stretch) {
    opening = new AbortController();
    const mine = opening.signal;
    signal.addEventListener('abort', () => opening.abort(), { signal: mine });
    let film = null;
    try {
      film = await openFilm(address(['segments', stretch.id, 'video']), `Recording of ${camera}`, mine);
    } catch {
      // It is told below.
    }
    if (mine.aborted) return;
    pictures = film !== null;
    if (!film && showing !== stretch.id) {
      // The camera had sent pictures before, and now sends video.
      show(own);
      playOwn(stretch, Math.max(0, at - stretch.from) / 1000);
      if (running) own.play().catch(() => {});
      return;
    }
    if (!film) {
      told.classList.add('bad');
      told.textContent = 'This browser cannot play it. It can still be downloaded.';
      return;
    }
    told.classList.remove('bad');
    count();
    film.currentTime = Math.max(0, at - stretch.from) / 1000;
    film.playbackRate = Number(speed.value);
    show(film);
    showing = stretch.id;
    follow();
    if (running) film.play();
  }

  function start(stretch, offset) {
    if (playing?.id === stretch.id) {
      if (showing === stretch.id) video.currentTime = offset;
    } else {
      playing = stretch;
      save.href = address(['segments', stretch.id, 'video']);
      save.download = `${camera}-${new Date(stretch.from).toISOString().slice(0, 19).replaceAll(':', '')}.mp4`;
      save.hidden = false;
      opening?.abort();
      if (pictures) {
        // The picture of before stays until there is another.
        video.pause();
        openPictures(stretch);
      } else {
        playOwn(stretch, offset);
      }
    }
    moveTo(stretch.from + offset * 1000);
    running = true;
    if (showing === stretch.id) video.play().catch(() => { /* Where that is not allowed there is a button for it. */ });
  }

  /** @param {number} time */
  function play(time) {
    const place = placeOf(list, time);
    if (place) start(place.stretch, place.offset);
    else moveTo(time);
  }

  function follow() {
    const mine = video;
    mine.addEventListener('timeupdate', () => { if (video === mine && playing?.id === showing && !mine.seeking) moveTo(playing.from + mine.currentTime * 1000); });
    mine.addEventListener('ended', goOn);
  }
  own.addEventListener('ratechange', () => { if (SPEEDS.some(([v]) => Number(v) === video.playbackRate)) speed.value = String(video.playbackRate); });
  own.addEventListener('loadedmetadata', () => { own.playbackRate = Number(speed.value); told.classList.remove('bad'); count(); });
  const goOn = () => {
    const next = video.ended && playing?.id === showing && following(list, playing.id);
    if (next) start(next, 0);
  };
  follow();
  own.addEventListener('error', () => {
    if (own.getAttribute('src') && playing) openPictures(playing);
  });

  function count() {
    if (told.classList.contains('bad')) return;
    const all = unbroken(list).reduce((sum, s) => sum + s.until - s.since, 0);
    told.textContent = list.length ? `${duration(all)} recorded, ${plural(events.length, 'event')}` : '';
  }

  async function pages(path, query, key, mine) {
    const out = [];
    for (let after; ;) {
      const page = await get(path, { ...query, limit: PAGE, after }, signal);
      if (mine !== asked) return null;
      out.push(...page[key]);
      after = page.next;
      if (!after) return out;
    }
  }

  async function load(first) {
    const mine = (asked += 1);
    const query = { camera, until: new Date(day.until) };
    try {
      const [segments, happened] = await Promise.all([
        pages('segments', { ...query, since: new Date(day.since - BEFORE_MS) }, 'segments', mine),
        pages('events', { ...query, since: new Date(day.since) }, 'events', mine),
      ]);
      if (!segments || !happened || signal.aborted) return;
      list = stretches(segments).filter((s) => s.to > day.since);
      events = happened;
      nothing.hidden = list.length > 0;
      frame.hidden = list.length === 0;
      if (list.length === 0) fill(nothing, empty('camera', 'Nothing was recorded', 'Where “Everything” is chosen in the settings of the camera, all of the day is recorded, in stretches of a minute.'));
      if (first && list.length > 0) {
        // Of today the newest is wanted, of a day in the past its beginning.
        play(wanted.at !== null ? wanted.at - CONTEXT_MS : day.until > Date.now() ? list.at(-1).from : list[0].from);
        if (wanted.at === null) {
          running = false;
          video.pause();
        }
      }
      loaded = true;
      draw();
      drawSide();
      count();
      goOn();
    } catch (error) {
      if (!aborted(error) && first) {
        nothing.hidden = false;
        fill(nothing, failed(error, () => load(true)));
      }
    }
  }

  function open(next) {
    wanted = next;
    day = dayOf(next.at ? dayOf('', next.at).text : next.day, Date.now());
    shown = day;
    list = [];
    events = [];
    playing = null;
    loaded = false;
    told.classList.remove('bad');
    fill(side);
    save.hidden = true;
    opening?.abort();
    pictures = false;
    showing = null;
    show(own);
    own.pause();
    own.removeAttribute('src');
    own.load();
    date.value = day.text;
    later.disabled = day.until > Date.now();
    moveTo(next.at ?? day.since);
    draw();
    load(true);
  }

  open(wanted);
  every(AGAIN_MS, () => (loaded && day.until > Date.now() - AGAIN_MS ? load(list.length === 0) : null), signal);
  signal.addEventListener('abort', () => {
    line.destroy();
    video.pause();
    // Or the browser goes on loading it.
    own.removeAttribute('src');
    own.load();
  });
  return { root, side, open };
}
