import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as t from '../js/timeline.js';

const HOUR = 3600e3;

test('days are those of the calendar', () => {
  const now = new Date(2026, 10, 28, 9, 30).getTime();
  assert.deepEqual(t.span('today', now), { since: new Date(2026, 10, 28).getTime(), until: new Date(2026, 10, 29).getTime() });
  assert.deepEqual(t.span('yesterday', now), { since: new Date(2026, 10, 27).getTime(), until: new Date(2026, 10, 28).getTime() });
  assert.equal(t.span('7d', now).since, new Date(2026, 10, 22).getTime());
  assert.deepEqual(t.span('24h', now), { since: now - 24 * HOUR, until: now });
});

test('buckets are lengths that people count in, never too many', () => {
  assert.equal(t.bucketCount(24 * HOUR), 96);
  assert.equal(t.bucketCount(HOUR), 60);
  assert.equal(t.bucketCount(7 * 24 * HOUR), 84);
  assert.equal(t.bucketCount(0), 1);
  for (let ms = 60e3; ms < 1e13; ms *= 1.7) {
    const n = t.bucketCount(ms);
    assert.ok(n >= 1 && n <= 288);
  }
});

test('an event is added where it belongs, and nowhere else', () => {
  const timeline = { start: '2026-11-28T00:00:00Z', bucket_seconds: 900, buckets: Array.from({ length: 96 }, () => ({})) };
  assert.ok(t.addToTimeline(timeline, { kind: 'motion', started_at: '2026-11-28T09:29:59Z' }));
  assert.ok(t.addToTimeline(timeline, { kind: 'motion', started_at: '2026-11-28T09:15:00Z' }));
  assert.deepEqual(timeline.buckets[37], { motion: 2 });
  assert.ok(!t.addToTimeline(timeline, { kind: 'motion', started_at: '2026-11-29T00:00:00Z' }));
  assert.ok(!t.addToTimeline(timeline, { kind: 'motion', started_at: '2026-11-27T23:59:59Z' }));
  assert.equal(timeline.buckets.reduce((s, b) => s + t.bucketTotal(b), 0), 2);
});

test('bars stand on each other and the tallest fills the chart', () => {
  const bars = t.stack([{ motion: 6, object: 4 }, {}, { object: 5 }], ['motion', 'object'], 100);
  assert.deepEqual(bars, [{ i: 0, kind: 'motion', y: 40, h: 60 }, { i: 0, kind: 'object', y: 0, h: 40 }, { i: 2, kind: 'object', y: 50, h: 50 }]);
  assert.ok(t.stack([{ motion: 5000, tamper: 1 }], ['motion', 'tamper'], 100)[1].h >= 1.5, 'a single event is still seen');
  assert.deepEqual(t.stack([], ['motion'], 100), []);
});

test('ticks are on the hour and do not crowd', () => {
  const { since, until } = t.span('today', new Date(2026, 10, 28, 9).getTime());
  const ticks = t.ticks(since, until, 12);
  assert.ok(ticks.length <= 13 && ticks.length >= 8);
  assert.equal(ticks[0].text, '00:00');
  assert.ok(ticks.every(({ at }) => new Date(at).getMinutes() === 0));
  const month = t.ticks(...Object.values(t.span('30d', since)), 12);
  assert.ok(month.every(({ at }) => new Date(at).getHours() === 0));
});

test('a selection is on whole buckets, within the axis, in either direction', () => {
  const axis = { since: 0, until: 24 * HOUR, bucketMs: HOUR / 4 };
  assert.deepEqual(t.selection(0.5, 0.25, axis), { since: 6 * HOUR, until: 12 * HOUR });
  assert.deepEqual(t.selection(0.5, 0.5001, axis), { since: 12 * HOUR, until: 12.25 * HOUR });
  assert.deepEqual(t.selection(-3, 4, axis), { since: 0, until: 24 * HOUR });
  const fine = t.selection(0.5, 0.5, { since: 0, until: HOUR, bucketMs: 60e3 });
  assert.equal(fine.until - fine.since, t.SHORTEST);
});
