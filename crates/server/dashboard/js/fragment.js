// What a fragment of MP4 says of its frames (ISO/IEC 14496-12, sections 8.8.4 to 8.8.8).

const TEXT = (view, at) => String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));

/**
 * The boxes from `from` to `to`; what is cut off or of no size ends them.
 * @param {DataView} view @param {number} from @param {number} to
 * @returns {Generator<{type: string, at: number, from: number, to: number}>} `at` is where it begins, `from` its content
 */
export function* boxes(view, from, to) {
  for (let at = from; at + 8 <= to;) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > to) return;
    yield { type: TEXT(view, at + 4), at, from: at + 8, to: at + size };
    at += size;
  }
}

/** @returns {number[]} of one track run */
function offsetsOfRun(view, { from, to }) {
  if (from + 8 > to) return [];
  const version = view.getUint8(from);
  const flags = view.getUint32(from) & 0xffffff;
  if (!(flags & 0x800)) return [];
  const count = view.getUint32(from + 4);
  const before = (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0) + (flags & 0x400 ? 4 : 0);
  const out = [];
  let at = from + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
  for (let i = 0; i < count && at + before + 4 <= to; i += 1, at += before + 4) {
    out.push(version === 0 ? view.getUint32(at + before) : view.getInt32(at + before));
  }
  return out;
}

/**
 * By how much each frame is shown after it is decoded, in the units of its track.
 * @param {ArrayBuffer} data a fragment, or anything else
 * @returns {number[]} nothing where it does not say, which means 0 for each
 */
export function compositionOffsets(data) {
  const view = new DataView(data);
  const out = [];
  for (const moof of boxes(view, 0, view.byteLength)) {
    if (moof.type !== 'moof') continue;
    for (const traf of boxes(view, moof.from, moof.to)) {
      if (traf.type !== 'traf') continue;
      for (const trun of boxes(view, traf.from, traf.to)) if (trun.type === 'trun') out.push(...offsetsOfRun(view, trun));
    }
  }
  return out;
}

/**
 * Notices whether frames come in another order than they are shown in (B-frames): the offsets
 * of a stream without them are all the same.
 * @returns {{reordered: boolean, add: (data: ArrayBuffer) => void}}
 */
export function orderWatch() {
  let first = null;
  return {
    reordered: false,
    add(data) {
      if (this.reordered) return;
      for (const offset of compositionOffsets(data)) {
        first ??= offset;
        if (offset !== first) this.reordered = true;
      }
    },
  };
}
