// The timeline as a chart: what happened when. Click or drag to look closer.

import { h, svg, fill } from '../dom.js';
import { bucketTotal, selection, stack, ticks } from '../timeline.js';
import { KINDS, kindName, plural, clock, day, number } from '../format.js';
import { button, table } from './ui.js';

const HEIGHT = 84;
const AXIS = 24;

/**
 * @param {(span: {since: number, until: number}) => void} choose called with the span to look at
 */
export function timelineChart(choose) {
  const chart = svg('svg', { role: 'img', 'aria-label': 'Events over time' });
  const caption = h('div', { class: 'small muted row' });
  const words = h('details', null, h('summary', null, 'As a table'));
  const root = h('div', { class: 'timeline' }, caption, chart, words);
  let data = null;
  let drag = null;

  const axis = () => {
    const since = Date.parse(data.start);
    const bucketMs = data.bucket_seconds * 1000;
    return { since, until: since + bucketMs * data.buckets.length, bucketMs };
  };
  const bucketText = (i) => {
    const { since, bucketMs } = axis();
    const from = since + i * bucketMs;
    const time = bucketMs >= 86400e3 ? day(from) : `${clock(from).slice(0, 5)}–${clock(from + bucketMs).slice(0, 5)}`;
    const parts = Object.entries(data.buckets[i]).filter(([, n]) => n > 0).map(([kind, n]) => `${number(n)} × ${kindName(kind).toLowerCase()}`);
    return `${time}: ${parts.join(', ') || 'nothing'}`;
  };
  const say = (i) => {
    const sum = data.buckets.reduce((s, b) => s + bucketTotal(b), 0);
    fill(caption, i === null ? plural(sum, 'event') : bucketText(i));
  };
  const fraction = (event) => {
    const box = chart.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  };
  const bucketAt = (f) => Math.min(data.buckets.length - 1, Math.max(0, Math.floor(f * data.buckets.length)));

  function draw() {
    if (!data || data.buckets.length === 0) return;
    const width = Math.max(200, chart.clientWidth || root.clientWidth - 28);
    const total = HEIGHT + AXIS;
    chart.setAttribute('viewBox', `0 0 ${width} ${total}`);
    const n = data.buckets.length;
    const w = width / n;
    const gap = w > 5 ? 1.5 : w > 2.5 ? 0.5 : 0;
    const { since, until } = axis();
    const bars = stack(data.buckets, Object.keys(KINDS), HEIGHT - 6).map((b) => svg('rect', {
      x: (b.i * w + gap / 2).toFixed(2), y: (b.y + 6).toFixed(2), width: Math.max(0.6, w - gap).toFixed(2), height: b.h.toFixed(2),
      style: { fill: `var(--k-${b.kind})` },
    }));
    const labels = ticks(since, until, Math.max(3, Math.floor(width / 62))).map(({ at, text }) => {
      const x = ((at - since) / (until - since)) * width;
      const anchor = x < 16 ? 'start' : x > width - 16 ? 'end' : 'middle';
      return [svg('line', { class: 'axis', x1: x, x2: x, y1: HEIGHT, y2: HEIGHT + 5 }), svg('text', { x, y: HEIGHT + 19, 'text-anchor': anchor }, text)];
    });
    fill(chart, svg('line', { class: 'axis', x1: 0, x2: width, y1: HEIGHT, y2: HEIGHT }), bars, labels, mark());
    const sum = data.buckets.reduce((s, b) => s + bucketTotal(b), 0);
    chart.setAttribute('aria-label', `Events over time: ${plural(sum, 'event')}. The table below tells the same.`);
    if (!drag) say(null);
    if (words.open) drawTable();
  }

  function mark() {
    if (!drag) return null;
    const width = chart.viewBox.baseVal.width;
    const from = Math.min(drag.from, drag.to);
    return svg('rect', { class: 'brush', x: from * width, y: 0, width: Math.max(1, Math.abs(drag.to - drag.from) * width), height: HEIGHT });
  }

  function drawTable() {
    const { since, bucketMs } = axis();
    const rows = data.buckets.flatMap((b, i) => (bucketTotal(b) === 0 ? [] : [h('tr', null,
      h('td', null, bucketText(i)),
      h('td', { class: 'num' }, number(bucketTotal(b))),
      h('td', { class: 'act' }, button('Look closer', { class: 'tiny', on: () => choose(selection(i / data.buckets.length, (i + 1) / data.buckets.length, { ...axis(), since, bucketMs })) })))]));
    words.replaceChildren(words.firstElementChild, rows.length ? table('Events over time', ['When and what', { text: 'Events', class: 'num' }, ''], rows) : h('p', { class: 'muted' }, 'Nothing happened.'));
  }
  words.addEventListener('toggle', () => { if (words.open && data) drawTable(); });

  chart.addEventListener('pointerdown', (event) => {
    if (!data || event.button !== 0) return;
    const f = fraction(event);
    drag = { from: f, to: f };
    chart.setPointerCapture(event.pointerId);
  });
  chart.addEventListener('pointermove', (event) => {
    if (!data) return;
    if (!drag) {
      say(bucketAt(fraction(event)));
      return;
    }
    drag.to = Math.min(1, Math.max(0, fraction(event)));
    chart.querySelector('.brush')?.remove();
    chart.append(mark());
  });
  chart.addEventListener('pointerup', (event) => {
    if (!drag) return;
    drag.to = fraction(event);
    const chosen = selection(drag.from, drag.to, axis());
    drag = null;
    chart.querySelector('.brush')?.remove();
    choose(chosen);
  });
  chart.addEventListener('pointercancel', () => {
    drag = null;
    chart.querySelector('.brush')?.remove();
  });
  chart.addEventListener('pointerleave', () => { if (data && !drag) say(null); });

  const sizes = new ResizeObserver(draw);
  sizes.observe(root);
  return {
    root,
    /** @param {any} timeline as the API tells it */
    set(timeline) {
      data = timeline;
      draw();
    },
    get: () => data,
    redraw: draw,
    destroy: () => sizes.disconnect(),
  };
}
