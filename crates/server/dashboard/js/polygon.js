// Geometry of zones and masks: points are fractions of the picture, from 0 to 1.

/** @typedef {[number, number]} Point */

/** Four digits are finer than any picture's pixels. */
const round = (v) => Math.round(v * 1e4) / 1e4;
const clamp = (v) => Math.min(1, Math.max(0, v));

/** @param {number} x @param {number} y @returns {Point} within the picture */
export const point = (x, y) => [round(clamp(x)), round(clamp(y))];

/**
 * Whether a point lies within a polygon (even-odd rule).
 * @param {Point} p
 * @param {Point[]} polygon
 */
export function contains([x, y], polygon) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    const [xi, yi] = polygon[i];
    const [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** @param {Point[]} polygon @returns {number} fraction of the picture (shoelace formula) */
export function area(polygon) {
  let sum = 0;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    sum += polygon[j][0] * polygon[i][1] - polygon[i][0] * polygon[j][1];
  }
  return Math.abs(sum) / 2;
}

/** @param {Point[]} polygon @returns {Point} the middle of its corners */
export function middle(polygon) {
  const n = Math.max(1, polygon.length);
  return [polygon.reduce((s, p) => s + p[0], 0) / n, polygon.reduce((s, p) => s + p[1], 0) / n];
}

/**
 * Moves all of a polygon, as far as it stays within the picture.
 * @param {Point[]} polygon
 * @param {number} dx
 * @param {number} dy
 * @returns {Point[]}
 */
export function moved(polygon, dx, dy) {
  const xs = polygon.map((p) => p[0]);
  const ys = polygon.map((p) => p[1]);
  const mx = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
  const my = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
  return polygon.map(([x, y]) => point(x + mx, y + my));
}

/** @param {Point[]} polygon @param {number} i @param {Point} to @returns {Point[]} */
export const withPoint = (polygon, i, to) => polygon.map((p, k) => (k === i ? point(...to) : p));

/** A new corner in the middle of the side after corner `i`. @param {Point[]} polygon @param {number} i @returns {Point[]} */
export function withCorner(polygon, i) {
  const [a, b] = [polygon[i], polygon[(i + 1) % polygon.length]];
  return [...polygon.slice(0, i + 1), point((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), ...polygon.slice(i + 1)];
}

/** Without corner `i`; the same where only three are left. @param {Point[]} polygon @param {number} i @returns {Point[]} */
export const withoutCorner = (polygon, i) => (polygon.length <= 3 ? polygon : polygon.filter((_, k) => k !== i));

const side = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);

/**
 * Whether sides of a polygon cross each other: what is inside is then not what one would think.
 * @param {Point[]} polygon
 */
export function crossesItself(polygon) {
  const n = polygon.length;
  for (let i = 0; i < n; i += 1) {
    for (let j = i + 2; j < n; j += 1) {
      if (i === 0 && j === n - 1) continue;
      const [a, b, c, d] = [polygon[i], polygon[(i + 1) % n], polygon[j], polygon[(j + 1) % n]];
      if (side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0) return true;
    }
  }
  return false;
}

/**
 * The nearest of some points within reach, as it looks on the screen.
 * @param {Point} p
 * @param {Point[]} points
 * @param {{width: number, height: number, reach: number}} screen in pixels
 * @returns {number} its index, -1 for none
 */
export function nearest(p, points, screen) {
  let best = -1;
  let bestAt = screen.reach;
  for (const [i, q] of points.entries()) {
    const d = Math.hypot((p[0] - q[0]) * screen.width, (p[1] - q[1]) * screen.height);
    if (d <= bestAt) {
      bestAt = d;
      best = i;
    }
  }
  return best;
}

/**
 * What is drawn, out of a camera's settings.
 * @typedef {{kind: 'zone'|'mask'|'privacy', name: string, points: Point[], min_area?: number}} Shape
 * @param {any} settings
 * @returns {Shape[]}
 */
export function shapesOf(settings) {
  const motion = settings?.motion ?? {};
  return [
    ...(motion.zones ?? []).map((z) => ({ kind: 'zone', name: z.name, points: z.points, ...(z.min_area !== undefined && z.min_area !== null ? { min_area: z.min_area } : {}) })),
    ...(motion.masks ?? []).map((points) => ({ kind: 'mask', name: '', points })),
    ...(settings?.privacy_masks ?? []).map((points) => ({ kind: 'privacy', name: '', points })),
  ];
}

/**
 * The settings for what is drawn, as PATCH takes them.
 * @param {Shape[]} shapes
 */
export function settingsOf(shapes) {
  const points = (kind) => shapes.filter((s) => s.kind === kind).map((s) => s.points);
  return {
    privacy_masks: points('privacy'),
    motion: {
      zones: shapes.filter((s) => s.kind === 'zone').map((s) => ({ name: s.name, points: s.points, ...(s.min_area !== undefined ? { min_area: s.min_area } : {}) })),
      masks: points('mask'),
    },
  };
}

/**
 * A name that no zone has yet.
 * @param {Shape[]} shapes
 */
export function freeName(shapes) {
  const names = new Set(shapes.map((s) => s.name));
  let n = 1;
  while (names.has(`zone ${n}`)) n += 1;
  return `zone ${n}`;
}
