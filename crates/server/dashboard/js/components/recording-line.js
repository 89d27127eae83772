// A day of recording as a line: what there is, what happened, and where one is. It is moved by
// pointer and by keyboard, like any slider.

import { h, svg, fill } from '../dom.js';
import { ticks } from '../timeline.js';
import { recorded, unbroken } from '../recording.js';
import { KINDS, clock, eventTitle } from '../format.js';

const HEIGHT = 62;
const TRACK = { y: 24, h: 14 };
/** What the keys move by, in milliseconds. */
const KEYS = { ArrowLeft: -10e3, ArrowRight: 10e3, ArrowDown: -60e3, ArrowUp: 60e3, PageDown: -600e3, PageUp: 600e3 };

/**
 * @param {(at: number) => void} choose called with the moment to play
 */
export function recordingLine(choose) {
  const picture = svg('svg', { 'aria-hidden': 'true', preserveAspectRatio: 'none' });
  const cursor = h('div', { class: 'cursor' });
  const hint = h('div', { class: 'hint small', hidden: true });
  const root = h('div', { class: 'recording-line', tabindex: '0', role: 'slider', 'aria-label': 'Time of day' }, picture, cursor, hint);
  let shown = { since: 0, until: 1 };
  let day = shown;
  let list = [];
  let events = [];
  let at = 0;

  const length = () => shown.until - shown.since;
  const share = (time) => (time - shown.since) / length();
  const timeAt = (event) => {
    const box = root.getBoundingClientRect();
    return shown.since + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * length();
  };

  function draw() {
    const width = Math.max(200, root.clientWidth);
    picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const inside = (s) => s.until > shown.since && s.since < shown.until;
    const bars = unbroken(list).filter(inside).map((s) => {
      const x = Math.max(0, share(s.since)) * width;
      // A minute of a day is hardly a pixel, and still to be seen.
      return svg('rect', { class: 'has', x, y: TRACK.y, width: Math.max(2, Math.min(1, share(s.until)) * width - x), height: TRACK.h });
    });
    const marks = events.filter((e) => e.at >= shown.since && e.at < shown.until)
      .map((e) => svg('rect', { x: share(e.at) * width - 1.5, y: 6, width: 3, height: 14, rx: 1.5, style: { fill: `var(--k-${e.event.kind})` } }));
    const labels = ticks(shown.since, shown.until, Math.max(3, Math.floor(width / 64))).map((t) => {
      const x = share(t.at) * width;
      return svg('text', { x, y: HEIGHT - 6, 'text-anchor': x < 16 ? 'start' : x > width - 16 ? 'end' : 'middle' }, t.text);
    });
    fill(picture, svg('rect', { class: 'track', x: 0, y: TRACK.y, width, height: TRACK.h, rx: 3 }), bars, marks, labels);
    drawCursor();
  }

  function drawCursor() {
    const f = share(at);
    cursor.hidden = f < 0 || f > 1;
    cursor.style.left = `${f * 100}%`;
    root.setAttribute('aria-valuemin', '0');
    root.setAttribute('aria-valuemax', String(Math.round((day.until - day.since) / 1000)));
    root.setAttribute('aria-valuenow', String(Math.round((at - day.since) / 1000)));
    root.setAttribute('aria-valuetext', `${clock(at)}, ${recorded(list, at) ? 'recorded' : 'not recorded'}`);
  }

  function say(event) {
    const time = timeAt(event);
    const near = (length() / Math.max(1, root.clientWidth)) * 5;
    const found = events.filter((e) => Math.abs(e.at - time) < near).slice(0, 3);
    hint.hidden = false;
    hint.style.left = `${Math.min(88, Math.max(12, share(time) * 100))}%`;
    hint.textContent = found.length
      ? found.map((e) => `${clock(e.at)} ${KINDS[e.event.kind] ? eventTitle(e.event) : e.event.kind}`).join(', ')
      : `${clock(time)}${recorded(list, time) ? '' : ': not recorded'}`;
  }

  root.addEventListener('pointermove', say);
  root.addEventListener('pointerleave', () => { hint.hidden = true; });
  root.addEventListener('click', (event) => choose(timeAt(event)));
  root.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = event.key === 'Home' ? day.since : event.key === 'End' ? day.until : event.key in KEYS ? at + KEYS[event.key] : null;
    if (to === null) return;
    event.preventDefault();
    choose(Math.min(day.until, Math.max(day.since, to)));
  });
  const sizes = new ResizeObserver(draw);
  sizes.observe(root);
  return {
    root,
    /** @param {{shown: any, day: any, list: any[], events: any[]}} next */
    set(next) {
      ({ shown, day, list } = next);
      events = next.events.map((event) => ({ event, at: Date.parse(event.started_at) }));
      draw();
    },
    /** @param {number} time */
    moveTo(time) {
      at = time;
      drawCursor();
    },
    destroy: () => sizes.disconnect(),
  };
}
