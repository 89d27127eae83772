import { test } from 'node:test';
import assert from 'node:assert/strict';
import { EventList, MOST_NEW, matches } from '../js/event-list.js';

const event = (n, more = {}) => ({ id: `e${n}`, number: n, camera: 'yard', kind: 'motion', label: null, started_at: new Date(n * 1000).toISOString(), ...more });
const any = { camera: [], kind: [], q: '', since: null, until: null };

test('pages follow each other and no event is shown twice', () => {
  const list = new EventList();
  assert.equal(list.next, undefined);
  list.addPage({ events: [event(9), event(8)], next: 'c' });
  list.tell(event(10));
  list.addPage({ events: [event(10), event(8), event(7)], next: null });
  assert.deepEqual(list.all().map((e) => e.id), ['e10', 'e9', 'e8', 'e7']);
  assert.equal(list.next, null);
});

test('a later state takes the place of the one before, an older one does not', () => {
  const list = new EventList();
  list.addPage({ events: [event(5), event(4)], next: null });
  assert.equal(list.tell({ ...event(5), number: 20, label: 'later' }), 'changed');
  assert.equal(list.tell({ ...event(5), number: 6, label: 'replayed' }), 'changed');
  assert.equal(list.all()[0].label, 'later');
  assert.equal(list.all().length, 2);
});

test('new events are in the order of their beginning, whatever order they come in', () => {
  const list = new EventList();
  for (const n of [3, 1, 2]) assert.equal(list.tell(event(n)), 'new');
  assert.deepEqual(list.all().map((e) => e.number), [3, 2, 1]);
});

test('old pages are let go and can be loaded again by the cursor before them', () => {
  const list = new EventList();
  for (let i = 0; i < 5; i += 1) list.addPage({ events: [event(100 - i)], next: `c${i}` });
  list.trim(2);
  assert.equal(list.all().length, 2);
  assert.equal(list.next, 'c1');
});

test('too many new events are noticed, and a deleted one is gone', () => {
  const list = new EventList();
  for (let i = 0; i <= MOST_NEW; i += 1) list.tell(event(i));
  assert.ok(list.overflown);
  assert.ok(list.has('e0'));
  list.remove('e0');
  assert.ok(!list.overflown && !list.has('e0'));
});

test('filters are those of the server', () => {
  const e = event(50, { camera: 'gate', kind: 'plate_read', label: 'B MK 4711' });
  assert.ok(matches(e, any));
  assert.ok(matches(e, { ...any, camera: ['gate', 'yard'], kind: ['plate_read'], q: 'b mk' }));
  assert.ok(!matches(e, { ...any, q: '4711' }), 'q is how a label begins');
  assert.ok(!matches(e, { ...any, camera: ['yard'] }));
  assert.ok(!matches(e, { ...any, kind: ['motion'] }));
  assert.ok(matches(e, { ...any, since: 50000 }));
  assert.ok(!matches(e, { ...any, until: 50000 }));
  assert.ok(!matches(event(1), { ...any, q: 'b' }));
});
