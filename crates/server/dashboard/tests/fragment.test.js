import { test } from 'node:test';
import assert from 'node:assert/strict';
import { compositionOffsets, orderWatch } from '../js/fragment.js';

const u32 = (...numbers) => numbers.flatMap((n) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const box = (type, ...content) => {
  const bytes = content.flat();
  return [...u32(bytes.length + 8), ...[...type].map((c) => c.charCodeAt(0)), ...bytes];
};
/** A fragment whose frames have these offsets, with durations, sizes and flags before them. */
const fragment = (offsets, version = 1) => new Uint8Array([
  ...box('styp', u32(1)),
  ...box('moof', box('mfhd', u32(0, 1)), box('traf', box('tfhd', u32(0, 1)),
    box('trun', u32((version << 24) | 0xf01, offsets.length, 8), ...offsets.map((o) => u32(40, 9, 0, o))))),
  ...box('mdat', u32(1, 2)),
]).buffer;

test('offsets are read, negative ones as well', () => {
  assert.deepEqual(compositionOffsets(fragment([80, -40, 0])), [80, -40, 0]);
  assert.deepEqual(compositionOffsets(fragment([0xffffffff], 0)), [0xffffffff]);
  const without = new Uint8Array(box('moof', box('traf', box('trun', u32(0x101, 1, 8, 40))))).buffer;
  assert.deepEqual(compositionOffsets(without), []);
});

test('whatever else comes says nothing, and a fragment that was cut off no more than it has', () => {
  assert.deepEqual(compositionOffsets(new ArrayBuffer(0)), []);
  assert.deepEqual(compositionOffsets(new Uint8Array([0, 0, 0, 0, 109, 111, 111, 102, 1]).buffer), []);
  const whole = fragment([80, 0, 40]);
  for (let length = 0; length < whole.byteLength; length += 1) assert.ok(compositionOffsets(whole.slice(0, length)).length <= 3);
});

test('B-frames are noticed by offsets that differ, also from fragment to fragment', () => {
  const steady = orderWatch();
  for (let i = 0; i < 9; i += 1) steady.add(fragment([40]));
  assert.ok(!steady.reordered);
  const mixed = orderWatch();
  for (const offset of [40, 120, 40]) mixed.add(fragment([offset]));
  assert.ok(mixed.reordered);
});
