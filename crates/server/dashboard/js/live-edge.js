// What the player does to stay close to now: decisions only, made of numbers, so that they can
// be tested without a video.

/** Seconds. */
export const EDGE = {
  /** What is kept in hand at the least, so that a late frame does not stop the picture. */
  leastTarget: 0.12,
  mostTarget: 0.6,
  /** In hand once a stream whose pictures are not in the order of showing has stalled: one that
   *  comes later is shown earlier, so that what is buffered last cannot be shown yet. */
  reorderedTarget: 1.5,
  /** Further behind than this, it jumps. */
  jump: 1,
  /** What was shown is kept for so long, and removed when there is as much again. */
  keep: 6,
  trimAt: 14,
};

/**
 * @typedef {{target: number, calm: number, end: number|null, frame: number, held?: boolean}} EdgeState
 * `target`: seconds that are kept in hand; `calm`: when the last stall was, in milliseconds;
 * `end`: of what there was at the last look; `frame`: seconds from one frame to the next; `held`: it has
 * stalled and has B-frames.
 * @typedef {{buffered: [number, number][], currentTime: number, paused: boolean, stalled: boolean, now: number, reordered?: boolean}} EdgeView
 * `stalled`: the player ran out of pictures since the last look; `reordered`: there are B-frames.
 * @typedef {{state: EdgeState, seekTo: number|null, rate: number, trim: [number, number]|null, behind: number}} EdgeDecision
 * `behind`: seconds of pictures in hand; `rate`: how fast to play.
 */

/** @returns {EdgeState} */
export const edgeStart = (now = 0) => ({ target: EDGE.leastTarget, calm: now, end: null, frame: 0 });

/**
 * @param {EdgeState} state
 * @param {EdgeView} view
 * @returns {EdgeDecision}
 */
export function edgeDecide(state, view) {
  let { target, calm, frame } = state;
  const edge = view.buffered.length ? view.buffered[view.buffered.length - 1][1] : null;
  if (edge !== null && state.end !== null) {
    const step = edge - state.end;
    // Several frames may have come since; a jump is none.
    if (step > 0.005 && step < 1.1) frame = frame === 0 ? step : frame * 0.9 + step * 0.1;
  }
  // Between two frames nothing comes in: less than that in hand would stall with each.
  const reseek = view.stalled && Boolean(view.reordered);
  const held = state.held || reseek;
  const floor = held ? EDGE.reorderedTarget : Math.min(EDGE.mostTarget, Math.max(EDGE.leastTarget, 0.06 + frame * 1.5));
  if (view.stalled) {
    // A stall says that too little was in hand for this network.
    target = Math.min(EDGE.mostTarget, target * 1.5);
    calm = view.now;
  } else if (view.now - calm > 20000 && target > floor) {
    target *= 0.8;
    calm = view.now;
  }
  target = Math.max(floor, target);
  const next = { target, calm, end: edge, frame, held };
  const none = { state: next, seekTo: null, rate: 1, trim: null, behind: 0 };
  if (view.buffered.length === 0) return none;

  const [lastStart, end] = view.buffered[view.buffered.length - 1];
  const [first] = view.buffered[0];
  const t = view.currentTime;
  const behind = end - t;
  let seekTo = null;
  let rate = 1;
  // Before the last stretch there is a hole that playing would not get over, or the player has
  // not begun; after its end the source has started its clock anew.
  if (t < lastStart || t > end + 0.5 || behind > EDGE.jump + target) seekTo = Math.max(lastStart, end - target);
  else if (reseek && behind < target / 2) seekTo = Math.max(lastStart, end - target);
  else if (behind > target + 0.45) rate = 1.15;
  else if (behind > target + 0.12) rate = 1.05;
  else if (behind < target * 0.4) rate = 0.97;

  const at = seekTo ?? t;
  const trim = at - first > EDGE.trimAt ? /** @type {[number, number]} */ ([0, at - EDGE.keep]) : null;
  return { state: next, seekTo, rate, trim, behind: end - at };
}

/** So long, and while so many fragments come, the picture may stand: then the player is beyond help. */
export const STANDS = { ms: 4000, fragments: 10 };

/**
 * Whether the picture stands still although there is more and more to show.
 * @param {{time: number, since: number, came: number}|null} last what was found before
 * @param {{time: number, now: number, came: number}} view the media time that is shown, in seconds; now, in
 *   milliseconds; and how many fragments have come by now
 * @returns {{last: {time: number, since: number, came: number}, stands: boolean}}
 */
export function standsStill(last, { time, now, came }) {
  if (!last || last.time !== time) return { last: { time, since: now, came }, stands: false };
  return { last, stands: now - last.since > STANDS.ms && came - last.came >= STANDS.fragments };
}

/**
 * The delay from the camera's frame to the screen, by what an overlay says: the frame at media
 * time `ptsMs` was there at `at`.
 * @param {{at: number, ptsMs: number}} overlay `at` in milliseconds since 1970
 * @param {number} mediaTime seconds, of the picture that is shown
 * @param {number} now milliseconds since 1970
 * @returns {number|null} milliseconds; null where the clocks of both machines differ too much to say
 */
export function shownDelay(overlay, mediaTime, now) {
  const shownAt = overlay.at + (mediaTime * 1000 - overlay.ptsMs);
  const delay = now - shownAt;
  return delay > -50 && delay < 30000 ? Math.max(0, delay) : null;
}

/**
 * Takes the overlay that belongs to the picture that is shown out of those that have come.
 * @template {{pts_ms: number}} T
 * @param {T[]} queue in the order of time; what is older is removed
 * @param {number} mediaMs
 * @returns {T|null} null where none is due yet
 */
export function dueOverlay(queue, mediaMs) {
  let due = null;
  while (queue.length > 0 && queue[0].pts_ms <= mediaMs + 20) due = queue.shift();
  return due;
}
