// Films of JPEG pictures in fragmented MP4, as cameras that send pictures are recorded: browsers
// do not play them, so that they are taken apart here (ISO/IEC 14496-12, section 8.8).

import { boxes } from './fragment.js';

/**
 * @typedef {{at: number, from: number, to: number}} Frame `at` in seconds from the beginning; its
 *   bytes are those from `from` to `to`
 */

const find = (view, parent, ...path) => path.reduce((box, type) => {
  if (!box) return null;
  for (const inner of boxes(view, box.from, box.to)) if (inner.type === type) return inner;
  return null;
}, parent);

function timescale(view, moov) {
  const mdhd = find(view, moov, 'trak', 'mdia', 'mdhd');
  if (!mdhd) return 0;
  const at = mdhd.from + (view.getUint8(mdhd.from) === 1 ? 20 : 12);
  return at + 4 <= mdhd.to ? view.getUint32(at) : 0;
}

/** The samples of a fragment: where each is and how long it lasts, in units of the track. */
function samples(view, moof) {
  const traf = find(view, moof, 'traf');
  const tfdt = traf && find(view, traf, 'tfdt');
  const trun = traf && find(view, traf, 'trun');
  if (!tfdt || !trun || trun.to - trun.from < 12) return null;
  const start = view.getUint8(tfdt.from) === 1 ? Number(view.getBigUint64(tfdt.from + 4)) : view.getUint32(tfdt.from + 4);
  const flags = view.getUint32(trun.from) & 0xffffff;
  // Without where its bytes are, how long each is and how many they are, nothing can be shown.
  if ((flags & 0x301) !== 0x301) return null;
  const count = view.getUint32(trun.from + 4);
  const entry = 8 + (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4 : 0);
  const out = [];
  let bytes = moof.at + view.getInt32(trun.from + 8);
  let time = start;
  let at = trun.from + 12 + (flags & 4 ? 4 : 0);
  for (let i = 0; i < count && at + entry <= trun.to; i += 1, at += entry) {
    const size = view.getUint32(at + 4);
    out.push({ time, from: bytes, to: bytes + size });
    time += view.getUint32(at);
    bytes += size;
  }
  return { out, end: time };
}

/**
 * @param {ArrayBuffer} data a whole file
 * @returns {{frames: Frame[], duration: number}|null} null where it is no film of JPEG pictures
 */
export function jpegFilm(data) {
  const view = new DataView(data);
  const frames = [];
  let scale = 0;
  let first = null;
  let end = 0;
  for (const box of boxes(view, 0, view.byteLength)) {
    if (box.type === 'moov') scale = timescale(view, box);
    if (box.type !== 'moof' || scale === 0) continue;
    const run = samples(view, box);
    for (const { time, from, to } of run?.out ?? []) {
      // What was cut off is not shown.
      if (from < 0 || to > view.byteLength || to - from < 4) continue;
      if (view.getUint16(from) !== 0xffd8) return null;
      first ??= time;
      frames.push({ at: (time - first) / scale, from, to });
      end = (run.end - first) / scale;
    }
  }
  return frames.length > 0 ? { frames, duration: end } : null;
}

/**
 * @param {Frame[]} frames at least one, in the order of time
 * @param {number} at seconds
 * @returns {number} the index of the one that is shown then
 */
export function frameAt(frames, at) {
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (frames[middle].at <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
