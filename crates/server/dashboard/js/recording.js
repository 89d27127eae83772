// Arithmetic of continuous recording: which stretch a moment is in, what comes after it, what of
// a day is shown. No drawing and no video, so that it can be tested.

/** Stretches with less than this between them, in milliseconds, are shown as one. */
const JOINED = 2000;
/** What can be shown at once, the longest first. */
export const SPANS = [24 * 3600e3, 6 * 3600e3, 3600e3, 600e3];

/**
 * @typedef {{id: string, from: number, to: number}} Stretch `from` and `to` in milliseconds since 1970
 * @typedef {{since: number, until: number}} Span
 */

/**
 * @param {{id: string, started_at: string, ended_at: string}[]} segments as the API tells them, in any order
 * @returns {Stretch[]} oldest first
 */
export const stretches = (segments) => segments
  .map((s) => ({ id: s.id, from: Date.parse(s.started_at), to: Date.parse(s.ended_at) }))
  .filter((s) => s.to > s.from)
  .sort((a, b) => a.from - b.from);

/**
 * @param {Stretch[]} list oldest first
 * @returns {Span[]} what was recorded without a gap
 */
export function unbroken(list) {
  const out = [];
  for (const { from, to } of list) {
    const last = out.at(-1);
    if (last && from - last.until < JOINED) last.until = Math.max(last.until, to);
    else out.push({ since: from, until: to });
  }
  return out;
}

/**
 * Where to play to see a moment: within the stretch that has it, or from the beginning of the
 * next one; where there is none after it, in the last second of what there is.
 * @param {Stretch[]} list oldest first
 * @param {number} at
 * @returns {{stretch: Stretch, offset: number}|null} offset in seconds; null where there is nothing
 */
export function placeOf(list, at) {
  const stretch = list.find((s) => s.to > at);
  if (stretch) return { stretch, offset: Math.max(0, at - stretch.from) / 1000 };
  const last = list.at(-1);
  return last ? { stretch: last, offset: Math.max(0, (last.to - last.from) / 1000 - 1) } : null;
}

/**
 * @param {Stretch[]} list oldest first
 * @param {string} id
 * @returns {Stretch|null} what is played after it
 */
export function following(list, id) {
  const i = list.findIndex((s) => s.id === id);
  return i < 0 ? null : list[i + 1] ?? null;
}

/** @param {Stretch[]} list @param {number} at @returns {boolean} */
export const recorded = (list, at) => list.some((s) => s.from <= at && at < s.to);

/**
 * A day of the calendar, which may have 23 or 25 hours.
 * @param {string} text `2026-11-28`; anything else is the day of `now`
 * @param {number} now
 * @param {number} [by] so many days later
 * @returns {Span & {text: string}}
 */
export function dayOf(text, now, by = 0) {
  const [, y, m, d] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  const today = new Date(now);
  const start = y ? new Date(Number(y), Number(m) - 1, Number(d) + by) : new Date(today.getFullYear(), today.getMonth(), today.getDate() + by);
  const two = (n) => String(n).padStart(2, '0');
  return {
    since: start.getTime(),
    until: new Date(start.getFullYear(), start.getMonth(), start.getDate() + 1).getTime(),
    text: `${start.getFullYear()}-${two(start.getMonth() + 1)}-${two(start.getDate())}`,
  };
}

/**
 * What is shown when one looks closer or from further away.
 * @param {Span} shown
 * @param {Span} day what it stays within
 * @param {number} at stays in the middle, as far as the day lets it
 * @param {1|-1} step 1 for closer
 * @returns {Span}
 */
export function zoomed(shown, day, at, step) {
  const length = shown.until - shown.since;
  const wanted = step > 0 ? SPANS.find((s) => s < length) ?? SPANS.at(-1) : SPANS.findLast((s) => s > length) ?? Infinity;
  return around(day, at, Math.min(wanted, day.until - day.since));
}

/**
 * @param {Span} day
 * @param {number} at
 * @param {number} length milliseconds, no longer than the day
 * @returns {Span} with `at` in its middle, as far as the day lets it
 */
export function around(day, at, length) {
  const since = Math.min(Math.max(day.since, at - length / 2), day.until - length);
  return { since, until: since + length };
}
