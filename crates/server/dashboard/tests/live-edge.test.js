import { test } from 'node:test';
import assert from 'node:assert/strict';
import { EDGE, STANDS, dueOverlay, edgeDecide, edgeStart, shownDelay, standsStill } from '../js/live-edge.js';

const look = (state, view) => edgeDecide(state, { buffered: [[0, 10]], currentTime: 9.9, paused: false, stalled: false, now: 0, ...view });

test('without pictures nothing is done', () => {
  const d = look(edgeStart(), { buffered: [] });
  assert.deepEqual([d.seekTo, d.rate, d.trim], [null, 1, null]);
});

test('the first picture is jumped to, wherever the source begins to count', () => {
  const d = look(edgeStart(), { buffered: [[1000, 1000.1]], currentTime: 0 });
  assert.equal(d.seekTo, 1000);
});

test('more than a second behind it jumps to the edge', () => {
  const d = look(edgeStart(), { currentTime: 8.5 });
  assert.ok(Math.abs(d.seekTo - (10 - EDGE.leastTarget)) < 1e-9);
  assert.ok(d.behind < 1);
});

test('a little behind it hurries, and does not jump', () => {
  const d = look(edgeStart(), { currentTime: 9.4 });
  assert.equal(d.seekTo, null);
  assert.ok(d.rate > 1);
  assert.ok(look(edgeStart(), { currentTime: 9.7 }).rate < d.rate);
});

test('at the edge it plays as it is, and slower where it would run dry', () => {
  assert.equal(look(edgeStart(), { currentTime: 9.87 }).rate, 1);
  assert.ok(look(edgeStart(), { currentTime: 9.98 }).rate < 1);
});

test('a hole is jumped over', () => {
  const d = look(edgeStart(), { buffered: [[0, 4], [6, 6.2]], currentTime: 3.99 });
  assert.equal(d.seekTo, 6.2 - EDGE.leastTarget);
});

test('a source that counts anew is followed back', () => {
  const d = look(edgeStart(), { buffered: [[0, 0.3]], currentTime: 700 });
  assert.ok(d.seekTo <= 0.3 && d.seekTo >= 0);
});

test('each stall keeps more in hand up to a limit, and calm less again', () => {
  let state = edgeStart(0);
  for (let i = 0; i < 20; i += 1) state = look(state, { stalled: true, now: i * 100 }).state;
  assert.equal(state.target, EDGE.mostTarget);
  assert.equal(look(state, { now: 5000 }).state.target, EDGE.mostTarget);
  for (let i = 1; i < 20; i += 1) state = look(state, { now: i * 21000 }).state;
  assert.equal(state.target, EDGE.leastTarget);
});

test('with B-frames a stall goes back to where pictures are whole, once, and stays there', () => {
  const d = look(edgeStart(), { stalled: true, reordered: true });
  assert.equal(d.seekTo, 10 - EDGE.reorderedTarget);
  assert.equal(d.state.target, EDGE.reorderedTarget);
  let { state } = d;
  const again = look(state, { currentTime: 8.5, stalled: true, reordered: true });
  assert.equal(again.seekTo, null);
  // However long it is calm: nearer to the end it would stall again.
  for (let i = 1; i < 40; i += 1) ({ state } = look(state, { currentTime: 8.5, reordered: true, now: i * 21000 }));
  assert.equal(state.target, EDGE.reorderedTarget);
  // Without them, and without a stall, nothing is gone back to.
  assert.equal(look(edgeStart(), { stalled: true }).seekTo, null);
  assert.equal(look(edgeStart(), { reordered: true }).seekTo, null);
});

test('a camera with few frames a second has more in hand, or each frame would stall', () => {
  let state = edgeStart();
  for (let i = 0; i < 50; i += 1) state = look(state, { buffered: [[0, 1 + i * 0.1]], currentTime: 0.8 + i * 0.1 }).state;
  assert.ok(Math.abs(state.frame - 0.1) < 1e-6);
  assert.ok(state.target > 0.2 && state.target < 0.3);
  for (let i = 0; i < 200; i += 1) state = look(state, { buffered: [[0, 6 + i * 0.04]], currentTime: 5.9 + i * 0.04, now: i * 30000 }).state;
  assert.equal(state.target.toFixed(2), '0.12');
});

test('even with the most in hand it stays below two seconds', () => {
  const state = { target: EDGE.mostTarget, calm: 0, end: null, frame: 0 };
  for (let behind = 0; behind < 10; behind += 0.05) {
    const d = look(state, { currentTime: 10 - behind });
    assert.ok(d.behind <= EDGE.jump + EDGE.mostTarget + 1e-9);
  }
});

test('what was shown is trimmed, and never what is still to come', () => {
  const d = look(edgeStart(), { buffered: [[0, 100]], currentTime: 99.9 });
  assert.deepEqual(d.trim, [0, 99.9 - EDGE.keep]);
  assert.equal(look(edgeStart(), { buffered: [[90, 100]], currentTime: 99.9 }).trim, null);
});

test('played for an hour, the buffer stays bounded and the delay small', () => {
  let state = edgeStart(0);
  let start = 0;
  let end = 0.04;
  let t = 0;
  let longest = 0;
  for (let now = 0; now < 3600e3; now += 40) {
    const d = edgeDecide(state, { buffered: [[start, end]], currentTime: t, paused: false, stalled: t >= end, now });
    state = d.state;
    if (d.seekTo !== null) t = d.seekTo;
    if (d.trim) start = Math.max(start, d.trim[1]);
    t = Math.min(end, t + 0.04 * d.rate);
    // Now and then the network holds everything back for a second and a half.
    if (now % 60000 >= 1500) end = now / 1000 + 0.08;
    longest = Math.max(longest, end - start);
    if (now % 60000 > 30000) assert.ok(now / 1000 - t < 1, `behind at ${now}`);
  }
  assert.ok(longest < EDGE.trimAt + 3);
});

test('the delay is from the frame to the screen', () => {
  // The frame of 5.0 s was there at 1000 ms; 4.8 s is shown at 1150 ms.
  assert.equal(shownDelay({ at: 1000, ptsMs: 5000 }, 4.8, 1150), 350);
  assert.equal(shownDelay({ at: 1000, ptsMs: 5000 }, 5, 990), 0);
  assert.equal(shownDelay({ at: 1000, ptsMs: 5000 }, 5, -5000), null);
  assert.equal(shownDelay({ at: 1000, ptsMs: 5000 }, 5, 1e9), null);
});

test('overlays wait for their picture; late ones are passed over', () => {
  const queue = [{ pts_ms: 100 }, { pts_ms: 200 }, { pts_ms: 300 }];
  assert.equal(dueOverlay(queue, 50), null);
  assert.equal(dueOverlay(queue, 210).pts_ms, 200);
  assert.deepEqual(queue, [{ pts_ms: 300 }]);
});

test('a picture stands still only while others come in', () => {
  const long = STANDS.ms + 1;
  const first = standsStill(null, { time: 7, now: 0, came: 3 });
  assert.equal(first.stands, false);
  const at = (view) => standsStill(first.last, { time: 7, now: long, came: 3 + STANDS.fragments, ...view });
  assert.equal(at({}).stands, true);
  assert.equal(at({ now: STANDS.ms }).stands, false);
  assert.equal(at({ came: 4 }).stands, false);
  const moved = at({ time: 7.04 });
  assert.equal(moved.stands, false);
  assert.equal(standsStill(moved.last, { time: 7.04, now: long + 100, came: 99 }).stands, false);
});
