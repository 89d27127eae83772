// Numbers, times and names as people read them.

/**
 * @param {number|null|undefined} bytes
 * @returns {string} in decimal units, as disks are sold
 */
export function bytes(bytes) {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${bytes < 0 ? '−' : ''}${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** @param {number} n */
export const number = (n) => new Intl.NumberFormat('en').format(n);

/**
 * A length of time: `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 days`.
 * @param {number} ms
 * @returns {string}
 */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3570) {
    const whole = Math.round(s);
    return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  }
  const min = Math.round(s / 60);
  if (min < 48 * 60) return min % 60 ? `${Math.floor(min / 60)} h ${min % 60} min` : `${min / 60} h`;
  return `${Math.round(min / 1440)} days`;
}

/**
 * `3 h ago`, `just now`, `in 5 min`.
 * @param {string|number|Date} when
 * @param {number} [now] milliseconds since 1970
 * @returns {string}
 */
export function ago(when, now = Date.now()) {
  const ms = now - new Date(when).getTime();
  if (!Number.isFinite(ms)) return '–';
  const s = Math.abs(ms) / 1000;
  if (s < 5) return 'just now';
  let text;
  if (s < 59.5) text = `${Math.round(s)} s`;
  else if (s < 3570) text = `${Math.round(s / 60)} min`;
  else if (s < 36 * 3600) text = `${Math.round(s / 3600)} h`;
  else text = plural(Math.round(s / 86400), 'day');
  return ms >= 0 ? `${text} ago` : `in ${text}`;
}

const two = (n) => String(n).padStart(2, '0');

/** @param {string|number|Date} when @returns {string} `09:30:05`, local */
export function clock(when) {
  const d = new Date(when);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** @param {string|number|Date} when @returns {string} `2026-11-28`, local */
export function dayKey(when) {
  const d = new Date(when);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/**
 * @param {string|number|Date} when
 * @param {number} [now]
 * @returns {string} `Today`, `Yesterday`, `Wednesday, 25 November`
 */
export function day(when, now = Date.now()) {
  const key = dayKey(when);
  if (key === dayKey(now)) return 'Today';
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (key === dayKey(before)) return 'Yesterday';
  const d = new Date(when);
  const year = d.getFullYear() === new Date(now).getFullYear() ? undefined : 'numeric';
  return new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year }).format(d);
}

/** @param {string|number|Date} when @returns {string} `28 Nov 2026, 09:30`, local */
export function dateTime(when) {
  const d = new Date(when);
  if (Number.isNaN(d.getTime())) return '–';
  return `${new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' }).format(d)}, ${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** @param {string|number|Date} when @returns {string} `2026-11-28 09:30:05 UTC` */
export function utc(when) {
  const d = new Date(when);
  return Number.isNaN(d.getTime()) ? '' : `${d.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** What an `<input type="datetime-local">` takes. @param {Date|string|number} when */
export function inputTime(when) {
  const d = new Date(when);
  return `${dayKey(d)}T${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** @param {number|null|undefined} fraction @returns {string} */
export const percent = (fraction) => (Number.isFinite(fraction) ? `${Math.round(fraction * 100)} %` : '–');

/** Kinds of events, in the order in which they are shown. */
export const KINDS = {
  motion: { name: 'Motion', icon: 'motion' },
  object: { name: 'Object', icon: 'box' },
  face_match: { name: 'Known face', icon: 'face' },
  face_unknown: { name: 'Unknown face', icon: 'faceUnknown' },
  plate_read: { name: 'Plate', icon: 'plate' },
  tamper: { name: 'Tampering', icon: 'warning' },
  camera_offline: { name: 'Camera offline', icon: 'cameraOff' },
  camera_online: { name: 'Camera online', icon: 'camera' },
  recording_gap: { name: 'Gap in recording', icon: 'gap' },
};

/** @param {string} kind @returns {string} */
export const kindName = (kind) => KINDS[kind]?.name ?? kind.replaceAll('_', ' ');

/**
 * What an event is called: its label, or its kind; of an unknown face no label says more.
 * @param {{kind: string, label?: string|null}} event
 */
export const eventTitle = (event) => (event.kind === 'face_unknown' ? kindName(event.kind) : event.label || kindName(event.kind));

/** @param {string} key `files_new` @returns {string} `Files new` */
export function words(key) {
  const text = key.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * A value of a summary or of details, by what its key says that it is.
 * @param {string} key
 * @param {any} value
 * @returns {string}
 */
export function fact(key, value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') {
    if (/bytes/.test(key)) return bytes(value);
    if (/seconds$|^took$/.test(key)) return duration(value * 1000);
    if (/_ms$/.test(key)) return duration(value);
    return number(value);
  }
  if (typeof value === 'string') return /_at$/.test(key) && !Number.isNaN(Date.parse(value)) ? dateTime(value) : value;
  if (Array.isArray(value)) return value.map((each) => fact(key, each)).join(', ');
  return Object.entries(value).map(([name, each]) => `${name.replaceAll('_', ' ')} ${fact(name, each)}`).join(', ');
}

/**
 * A browser's name out of what it says of itself.
 * @param {string|null|undefined} agent
 * @returns {string}
 */
export function agentName(agent) {
  if (!agent) return 'unknown';
  const browser = /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' : /Chrom(e|ium)\//.test(agent) ? 'Chrome'
    : /Safari\//.test(agent) ? 'Safari' : agent.split(/[\s/]/)[0];
  const system = /iPhone|iPad/.test(agent) ? 'iOS' : /Android/.test(agent) ? 'Android' : /Windows/.test(agent) ? 'Windows'
    : /Mac OS X/.test(agent) ? 'macOS' : /Linux/.test(agent) ? 'Linux' : '';
  return system ? `${browser} on ${system}` : browser;
}

/**
 * Bytes a second between two looks at a run.
 * @param {{bytes: number, t: number}|null} before t in milliseconds
 * @param {{bytes: number, t: number}} now
 * @returns {number|null}
 */
export function rate(before, now) {
  if (!before || now.t <= before.t || now.bytes < before.bytes) return null;
  return ((now.bytes - before.bytes) * 1000) / (now.t - before.t);
}

/** A backup is expected every day; checks and drills once a month or so. */
const OLD_MS = { backup: 2 * 86400e3 };
const OLD_USUALLY_MS = 40 * 86400e3;

/**
 * How a job's last success is judged.
 * @param {{kind: string, last_success: string|null, last: {state: string}|null}} job
 * @param {number} [now]
 * @returns {'good'|'warn'|'bad'}
 */
export function jobHealth(job, now = Date.now()) {
  const { last, last_success: success } = job;
  if (last?.state === 'failed' || last?.state === 'interrupted') return 'bad';
  if (!success) return last ? 'bad' : 'warn';
  if (now - Date.parse(success) > (OLD_MS[job.kind] ?? OLD_USUALLY_MS)) return 'bad';
  return last?.state === 'partly' ? 'warn' : 'good';
}

/**
 * Which list of plates an event's plate is on.
 * @param {{details?: {verdict?: string}|null}} event
 * @returns {'allow'|'deny'|null}
 */
export function listed(event) {
  const verdict = event.details?.verdict;
  return verdict === 'allow' || verdict === 'deny' ? verdict : null;
}
