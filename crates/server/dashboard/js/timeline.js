// Arithmetic of the timeline: spans, buckets and ticks, without any drawing.

const MINUTE = 60e3;
const HOUR = 3600e3;
const DAY = 86400e3;

/** The shortest span that can be zoomed to. */
export const SHORTEST = 5 * MINUTE;

/**
 * A named span of time.
 * @param {string} name `today`, `yesterday`, `24h`, `7d`, `30d`
 * @param {number} now milliseconds since 1970
 * @returns {{since: number, until: number}}
 */
export function span(name, now) {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  // By the calendar, for a day with a change of the clock has 23 or 25 hours.
  const dayAt = (offset) => new Date(midnight.getFullYear(), midnight.getMonth(), midnight.getDate() + offset).getTime();
  switch (name) {
    case 'yesterday': return { since: dayAt(-1), until: dayAt(0) };
    case '24h': return { since: now - DAY, until: now };
    case '7d': return { since: dayAt(-6), until: dayAt(1) };
    case '30d': return { since: dayAt(-29), until: dayAt(1) };
    default: return { since: dayAt(0), until: dayAt(1) };
  }
}

/**
 * How many buckets to ask for, so that each is a length that people count in.
 * @param {number} ms of the whole span
 * @returns {number} 1 to 288
 */
export function bucketCount(ms) {
  const lengths = [MINUTE / 4, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 7 * DAY];
  const length = lengths.find((l) => ms / l <= 110) ?? Math.ceil(ms / 110);
  return Math.min(288, Math.max(1, Math.ceil(ms / length)));
}

/**
 * Adds an event that has just begun to the bucket where it belongs.
 * @param {{start: string, bucket_seconds: number, buckets: Record<string, number>[]}} timeline changed in place
 * @param {{kind: string, started_at: string}} event
 * @returns {boolean} whether it lies within
 */
export function addToTimeline(timeline, event) {
  const i = Math.floor((Date.parse(event.started_at) - Date.parse(timeline.start)) / (timeline.bucket_seconds * 1000));
  const bucket = timeline.buckets[i];
  if (!bucket) return false;
  bucket[event.kind] = (bucket[event.kind] ?? 0) + 1;
  return true;
}

/** @param {Record<string, number>} bucket @returns {number} */
export const bucketTotal = (bucket) => Object.values(bucket).reduce((sum, n) => sum + n, 0);

/**
 * The bars of a stacked chart.
 * @param {Record<string, number>[]} buckets
 * @param {string[]} kinds in the order of stacking, from below
 * @param {number} height of the tallest
 * @returns {{i: number, kind: string, y: number, h: number}[]} y from above
 */
export function stack(buckets, kinds, height) {
  const most = Math.max(1, ...buckets.map(bucketTotal));
  const bars = [];
  for (const [i, bucket] of buckets.entries()) {
    let y = height;
    for (const kind of kinds) {
      const n = bucket[kind] ?? 0;
      if (n === 0) continue;
      // A single event among hundreds is still seen.
      const h = Math.max(1.5, (n / most) * height);
      y -= h;
      bars.push({ i, kind, y: Math.max(0, y), h });
    }
  }
  return bars;
}

/**
 * Where the axis has its labels.
 * @param {number} since
 * @param {number} until
 * @param {number} most labels
 * @returns {{at: number, text: string}[]}
 */
export function ticks(since, until, most) {
  const lengths = [MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const length = lengths.find((l) => (until - since) / l <= most) ?? 30 * DAY;
  const out = [];
  const two = (n) => String(n).padStart(2, '0');
  const first = new Date(since);
  first.setHours(0, 0, 0, 0);
  const days = length / DAY;
  for (let n = 0; ; n += 1) {
    const at = days >= 1
      ? new Date(first.getFullYear(), first.getMonth(), first.getDate() + n * days).getTime()
      : first.getTime() + n * length;
    if (at > until) break;
    if (at < since) continue;
    const d = new Date(at);
    const midnight = d.getHours() === 0 && d.getMinutes() === 0;
    out.push({ at, text: midnight && (days >= 1 || until - since > DAY) ? `${d.getDate()}.${d.getMonth() + 1}.` : `${two(d.getHours())}:${two(d.getMinutes())}` });
  }
  return out;
}

/**
 * The span between two places on the axis, in either order, on whole buckets.
 * @param {number} a fraction of the axis
 * @param {number} b
 * @param {{since: number, until: number, bucketMs: number}} axis
 * @returns {{since: number, until: number}}
 */
export function selection(a, b, axis) {
  const clamp = (f) => Math.min(1, Math.max(0, f));
  const length = axis.until - axis.since;
  const from = clamp(Math.min(a, b)) * length;
  const to = clamp(Math.max(a, b)) * length;
  const since = axis.since + Math.floor(from / axis.bucketMs) * axis.bucketMs;
  let until = Math.min(axis.until, axis.since + Math.ceil(to / axis.bucketMs) * axis.bucketMs);
  if (until - since < SHORTEST) until = since + SHORTEST;
  return { since, until };
}
