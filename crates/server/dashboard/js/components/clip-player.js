// A clip with the browser's own controls, and what they lack: single frames, speed, marks.

import { h, svg, fill } from '../dom.js';
import { address } from '../api.js';
import { button, linkButton } from './ui.js';
import { select } from './form.js';
import { openFilm } from './film-view.js';
import { pref, setPref } from '../prefs.js';

const SPEEDS = [['0.1', '0.1 ×'], ['0.25', '0.25 ×'], ['0.5', '0.5 ×'], ['1', '1 ×'], ['1.5', '1.5 ×'], ['2', '2 ×'], ['4', '4 ×'], ['8', '8 ×']];
/** What a frame lasts until the video has shown two. */
const USUAL_FRAME = 1 / 15;
/** An observation marks its place for so long, in milliseconds. */
const MARK_MS = 400;

/**
 * The observations that belong to a moment of a clip.
 * @param {any[]} observations
 * @param {number} at milliseconds since 1970
 * @returns {any[]} for each track the nearest, within less than half a second
 */
export function marksAt(observations, at) {
  const best = new Map();
  for (const o of observations) {
    if (!o.region) continue;
    const off = Math.abs(Date.parse(o.at) - at);
    if (off > MARK_MS) continue;
    const key = o.track ?? o.label;
    if (!best.has(key) || best.get(key).off > off) best.set(key, { off, o });
  }
  return [...best.values()].map(({ o }) => o);
}

/**
 * @param {any} event with a clip
 * @returns {{root: HTMLElement, update: (event: any) => void, seekTo: (at: string) => void, key: (event: KeyboardEvent) => boolean, destroy: () => void}}
 */
export function clipPlayer(event) {
  const source = () => address(['events', event.id, 'clip']);
  const own = h('video', {
    controls: true, playsinline: true, preload: 'metadata', muted: pref('muted', '1') === '1', src: source(),
    poster: event.snapshot ? address(['events', event.id, 'snapshot']) : undefined,
    'aria-label': `Clip of ${event.camera}`,
  });
  /** What plays: the browser's own player, or ours of pictures. */
  let video = own;
  const end = new AbortController();
  const marks = svg('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const frame = h('div', { class: 'frame' }, own, marks);
  const problem = h('span', { class: 'bad small', role: 'status' });
  const unfinished = h('span', { class: 'badge warn pulse', hidden: event.clip.complete }, 'Still being recorded');

  let frameTime = USUAL_FRAME;
  let lastMedia = null;
  const measure = (now, meta) => {
    if (lastMedia !== null) {
      const step = meta.mediaTime - lastMedia;
      if (step > 0.004 && step < 0.5) frameTime = Math.min(step, frameTime === USUAL_FRAME ? step : frameTime * 1.2);
    }
    lastMedia = meta.mediaTime;
    own.requestVideoFrameCallback?.(measure);
  };
  own.requestVideoFrameCallback?.(measure);

  const step = (frames) => {
    video.pause();
    video.currentTime = Math.min(video.duration || Infinity, Math.max(0, video.currentTime + frames * frameTime));
  };
  const speed = select('speed', SPEEDS, '1', { class: 'input auto', 'aria-label': 'Speed', on: { change: () => { video.playbackRate = Number(speed.value); } } });
  const faster = (by) => {
    const i = Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.findIndex(([v]) => v === speed.value) + by));
    speed.value = SPEEDS[i][0];
    video.playbackRate = Number(speed.value);
  };
  const started = () => Date.parse(event.clip.started_at);
  // The picture lies within the element with bars beside it, where their shapes differ.
  const place = () => {
    const box = video.getBoundingClientRect();
    if (!video.videoWidth || !box.width) return;
    const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
    const [w, hgt] = [video.videoWidth * scale, video.videoHeight * scale];
    Object.assign(marks.style, { width: `${w}px`, height: `${hgt}px`, left: `${(box.width - w) / 2}px`, top: `${(box.height - hgt) / 2}px` });
  };
  const draw = () => {
    const here = marksAt(event.observations, started() + video.currentTime * 1000);
    fill(marks, here.map((o) => svg('rect', { x: o.region.x, y: o.region.y, width: o.region.w, height: o.region.h })));
  };
  const sizes = new ResizeObserver(place);
  const follow = () => {
    for (const type of ['timeupdate', 'seeked']) video.addEventListener(type, draw);
    video.addEventListener('loadedmetadata', () => { place(); problem.textContent = ''; });
    video.addEventListener('ratechange', () => {
      const text = String(video.playbackRate);
      if (SPEEDS.some(([v]) => v === text)) speed.value = text;
    });
  };
  sizes.observe(own);
  follow();
  own.addEventListener('volumechange', () => setPref('muted', own.muted ? '1' : '0'));
  own.addEventListener('error', async () => {
    // Once taken out it is of no interest any more.
    if (video !== own || !own.getAttribute('src')) return;
    try {
      const film = await openFilm(source(), `Clip of ${event.camera}`, end.signal);
      if (end.signal.aborted) return;
      if (film && video === own) {
        own.replaceWith(film.root);
        own.removeAttribute('src');
        video = film;
        video.playbackRate = Number(speed.value);
        sizes.observe(film.canvas);
        follow();
        place();
        return;
      }
    } catch {
      // What the player said is all there is to say.
    }
    problem.textContent = event.clip.complete ? 'This clip cannot be played here. It can still be downloaded.' : 'What there is of it cannot be played yet.';
  });

  const root = h('div', null,
    h('div', { class: 'media' }, frame),
    h('div', { class: 'player-bar' },
      button('', { icon: 'stepBack', label: 'One frame back (comma)', on: () => step(-1) }),
      button('', { icon: 'stepNext', label: 'One frame on (full stop)', on: () => step(1) }),
      speed, unfinished, problem,
      linkButton('Download', address(['events', event.id, 'clip']), { icon: 'download', class: 'end', download: `${event.camera}-${event.started_at.slice(0, 19).replaceAll(':', '')}.mp4` })));

  return {
    root,
    update(next) {
      const finished = !event.clip.complete && next.clip.complete;
      event = next;
      unfinished.hidden = next.clip.complete;
      // What was there before the end was told with another length.
      if (finished && video === own && (video.paused || video.ended || video.error)) {
        const at = video.currentTime;
        video.src = source();
        if (at > 0) video.currentTime = at;
      }
    },
    seekTo(at) {
      video.currentTime = Math.max(0, (Date.parse(at) - started()) / 1000);
    },
    key(e) {
      if (e.key === ',') step(-1);
      else if (e.key === '.') step(1);
      else if (e.key === '<') faster(-1);
      else if (e.key === '>') faster(1);
      else if (e.key === ' ' && !e.target.closest('button, a, video, input, select, summary')) (video.paused ? video.play().catch(() => {}) : video.pause());
      else return false;
      return true;
    },
    destroy() {
      end.abort();
      sizes.disconnect();
      video.pause();
      // Or the browser goes on loading it.
      own.removeAttribute('src');
      own.load();
    },
  };
}
