import { test } from 'node:test';
import assert from 'node:assert/strict';
import { frameAt, jpegFilm } from '../js/jpeg-film.js';

const u32 = (...numbers) => numbers.flatMap((n) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const box = (type, ...content) => {
  const bytes = content.flat();
  return [...u32(bytes.length + 8), ...[...type].map((c) => c.charCodeAt(0)), ...bytes];
};
const moov = box('moov', box('trak', box('mdia', box('mdhd', u32(0x01000000, 0, 0, 0, 0, 1000, 0, 0)))));
const moof = (time, lasts, size, offset) => box('moof', box('mfhd', u32(0, 1)), box('traf', box('tfhd', u32(0x020000, 1)),
  box('tfdt', u32(0x01000000, 0, time)), box('trun', u32(0x01000f01, 1, offset, lasts, size, 0, 0))));
const fragment = (time, lasts, picture) => [...moof(time, lasts, picture.length, moof(0, 0, 0, 0).length + 8), ...box('mdat', picture)];
const film = (...fragments) => new Uint8Array([...box('ftyp', u32(0)), ...moov, ...fragments.flat()]).buffer;
const JPEG = [0xff, 0xd8, 1, 2, 0xff, 0xd9];

test('each picture is found with its time, from where the film begins', () => {
  const data = film(fragment(5000, 100, JPEG), fragment(5100, 150, [...JPEG, 0]));
  const { frames, duration } = jpegFilm(data);
  assert.deepEqual(frames.map((f) => f.at), [0, 0.1]);
  assert.equal(duration, 0.25);
  assert.deepEqual([...new Uint8Array(data.slice(frames[0].from, frames[0].to))], JPEG);
  assert.equal(frames[1].to - frames[1].from, JPEG.length + 1);
});

test('another film, or none, is no film of pictures', () => {
  assert.equal(jpegFilm(film(fragment(0, 100, [0, 0, 0, 1, 9, 9]))), null);
  assert.equal(jpegFilm(new ArrayBuffer(3)), null);
  assert.equal(jpegFilm(film()), null);
});

test('of one that was cut off there is what is whole', () => {
  const data = film(fragment(0, 100, JPEG), fragment(100, 100, JPEG));
  for (let length = 0; length < data.byteLength; length += 1) {
    const found = jpegFilm(data.slice(0, length));
    if (found) assert.ok(found.frames.every((f) => f.to <= length) && found.frames.length === 1, String(length));
  }
});

test('a moment has the frame that began last', () => {
  const frames = [0, 0.1, 0.3].map((at) => ({ at, from: 0, to: 1 }));
  assert.deepEqual([-1, 0, 0.09, 0.1, 0.29, 0.3, 9].map((at) => frameAt(frames, at)), [0, 0, 0, 1, 1, 2, 2]);
});
