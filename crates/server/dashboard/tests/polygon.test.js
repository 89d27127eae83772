import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as p from '../js/polygon.js';

const square = [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]];
/** A horseshoe, open above. */
const horseshoe = [[0, 0], [0.2, 0], [0.2, 0.8], [0.8, 0.8], [0.8, 0], [1, 0], [1, 1], [0, 1]];

test('points within and without', () => {
  assert.ok(p.contains([0.4, 0.4], square));
  assert.ok(!p.contains([0.7, 0.4], square));
  assert.ok(!p.contains([0.4, 0.1], square));
  assert.ok(!p.contains([0.5, 0.3], horseshoe));
  assert.ok(p.contains([0.1, 0.3], horseshoe));
  assert.ok(p.contains([0.5, 0.9], horseshoe));
  assert.ok(!p.contains([0.5, 0.5], []));
});

test('the area is that of the shoelace, in either direction', () => {
  assert.ok(Math.abs(p.area(square) - 0.16) < 1e-12);
  assert.ok(Math.abs(p.area([...square].reverse()) - 0.16) < 1e-12);
  assert.ok(Math.abs(p.area(horseshoe) - (1 - 0.6 * 0.8)) < 1e-12);
});

test('points stay within the picture and are not finer than needed', () => {
  assert.deepEqual(p.point(-1, 2), [0, 1]);
  assert.deepEqual(p.point(0.123456, 0.5), [0.1235, 0.5]);
});

test('a polygon that is moved keeps its shape at the edge', () => {
  const to = p.moved(square, 5, -5);
  assert.deepEqual(to, [[0.6, 0], [1, 0], [1, 0.4], [0.6, 0.4]]);
  assert.ok(Math.abs(p.area(to) - p.area(square)) < 1e-9);
});

test('corners come and go, and three are left', () => {
  const more = p.withCorner(square, 3);
  assert.equal(more.length, 5);
  assert.deepEqual(more[4], [0.2, 0.4]);
  assert.deepEqual(p.withoutCorner(more, 4), square);
  const three = p.withoutCorner(square, 0);
  assert.equal(p.withoutCorner(three, 1), three);
  assert.deepEqual(p.withPoint(square, 1, [2, 0.1])[1], [1, 0.1]);
  assert.deepEqual(square[1], [0.6, 0.2], 'the polygon that was given is as it was');
});

test('sides that cross are noticed', () => {
  assert.ok(!p.crossesItself(square));
  assert.ok(!p.crossesItself(horseshoe));
  assert.ok(p.crossesItself([[0, 0], [1, 1], [1, 0], [0, 1]]));
});

test('the nearest point is measured on the screen', () => {
  const screen = { width: 1000, height: 100, reach: 14 };
  // A tenth of the height is ten pixels, a tenth of the width a hundred.
  assert.equal(p.nearest([0.2, 0.3], square, screen), 0);
  assert.equal(p.nearest([0.3, 0.2], square, screen), -1);
  assert.equal(p.nearest([0.2, 0.2], [], screen), -1);
});

test('settings survive being drawn', () => {
  const settings = {
    privacy_masks: [square],
    motion: { zones: [{ name: 'drive', points: square, min_area: 0.01 }, { name: 'gate', points: horseshoe }], masks: [horseshoe], sensitivity: 0.5 },
  };
  const back = p.settingsOf(p.shapesOf(settings));
  assert.deepEqual(back.privacy_masks, settings.privacy_masks);
  assert.deepEqual(back.motion.zones, settings.motion.zones);
  assert.deepEqual(back.motion.masks, settings.motion.masks);
  assert.ok(!('sensitivity' in back.motion), 'what is not drawn is not sent');
  assert.deepEqual(p.settingsOf(p.shapesOf({})), { privacy_masks: [], motion: { zones: [], masks: [] } });
});

test('new zones get a name that is free', () => {
  assert.equal(p.freeName([]), 'zone 1');
  assert.equal(p.freeName([{ name: 'zone 1' }, { name: 'zone 3' }]), 'zone 2');
});
