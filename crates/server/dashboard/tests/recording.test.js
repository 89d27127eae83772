import { test } from 'node:test';
import assert from 'node:assert/strict';
import { around, dayOf, following, placeOf, recorded, stretches, unbroken, zoomed } from '../js/recording.js';

const at = (s) => new Date(s * 1000).toISOString();
const list = stretches([
  { id: 'c', started_at: at(300), ended_at: at(360) },
  { id: 'b', started_at: at(160.5), ended_at: at(220) },
  { id: 'a', started_at: at(100), ended_at: at(160) },
  { id: 'x', started_at: at(90), ended_at: at(90) },
]);

test('stretches are in the order of time, and those without length are none', () => {
  assert.deepEqual(list.map((s) => s.id), ['a', 'b', 'c']);
});

test('what follows at once is one with it, and a gap is seen', () => {
  assert.deepEqual(unbroken(list), [{ since: 100e3, until: 220e3 }, { since: 300e3, until: 360e3 }]);
  assert.deepEqual(unbroken([]), []);
});

test('a moment is played where it was recorded, or what comes next, or the end', () => {
  assert.deepEqual(placeOf(list, 130e3), { stretch: list[0], offset: 30 });
  assert.deepEqual(placeOf(list, 160e3), { stretch: list[1], offset: 0 });
  assert.deepEqual(placeOf(list, 250e3), { stretch: list[2], offset: 0 });
  assert.deepEqual(placeOf(list, 0), { stretch: list[0], offset: 0 });
  assert.deepEqual(placeOf(list, 999e3), { stretch: list[2], offset: 59 });
  assert.equal(placeOf([], 0), null);
  assert.ok(recorded(list, 100e3));
  assert.ok(!recorded(list, 220e3));
});

test('after one comes the next, over a gap as well, and after the last nothing', () => {
  assert.equal(following(list, 'b').id, 'c');
  assert.equal(following(list, 'c'), null);
  assert.equal(following(list, 'gone'), null);
});

test('days are those of the calendar', () => {
  const now = new Date(2026, 10, 28, 15, 0).getTime();
  const day = dayOf('', now);
  assert.equal(day.text, '2026-11-28');
  assert.equal(day.since, new Date(2026, 10, 28).getTime());
  assert.equal(dayOf(day.text, now, 3).text, '2026-12-01');
  assert.equal(dayOf('2026-03-01', now, -1).text, '2026-02-28');
  assert.equal(dayOf('nonsense', now).text, day.text);
  assert.equal(dayOf('2026-11-27', now).until, day.since);
});

test('closer and back again, and never out of the day', () => {
  const day = { since: 0, until: 24 * 3600e3 };
  const closer = zoomed(day, day, 12 * 3600e3, 1);
  assert.deepEqual(closer, { since: 9 * 3600e3, until: 15 * 3600e3 });
  assert.deepEqual(zoomed(closer, day, 12 * 3600e3, -1), day);
  assert.deepEqual(zoomed(day, day, 0, 1), { since: 0, until: 6 * 3600e3 });
  assert.deepEqual(around(day, 24 * 3600e3, 3600e3), { since: 23 * 3600e3, until: 24 * 3600e3 });
  let shown = day;
  for (let i = 0; i < 9; i += 1) shown = zoomed(shown, day, 1e6, 1);
  assert.equal(shown.until - shown.since, 600e3);
  for (let i = 0; i < 9; i += 1) shown = zoomed(shown, day, 1e6, -1);
  assert.deepEqual(shown, day);
  // When the clock is put back a day has an hour more.
  const long = { since: 0, until: 25 * 3600e3 };
  assert.deepEqual(zoomed(zoomed(long, long, 0, 1), long, 0, -1).until >= 24 * 3600e3, true);
});
