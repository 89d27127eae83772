// A run of a job: how far it is, what it did, what went wrong.

import { h } from '../dom.js';
import { badge, facts, meter, time } from './ui.js';
import { icon } from '../icons.js';
import { bytes, duration, fact, number, plural, rate, words } from '../format.js';

const STATES = {
  running: ['Running', ''], done: ['Done', 'good'], partly: ['Partly done', 'warn'], failed: ['Failed', 'bad'],
  stopped: ['Stopped', 'warn'], interrupted: ['Interrupted', 'bad'],
};

/** @param {string} state */
export const stateBadge = (state) => badge(STATES[state]?.[0] ?? state, STATES[state]?.[1] ?? '');

const looks = new Map();

/**
 * How far a run is. Call it with each new state: the rate is what came in between.
 * @param {any} run
 */
export function progressView(run) {
  const p = run.progress;
  if (!p) return h('div', { class: 'stack-tight' }, meter(null, 'Progress'), h('span', { class: 'muted small' }, 'Beginning'));
  const seen = looks.get(run.id) ?? [];
  seen.push({ bytes: p.bytes, t: Date.now() });
  // Over some seconds, or the number jumps about.
  while (seen.length > 6) seen.shift();
  looks.set(run.id, seen);
  if (looks.size > 50) looks.delete(looks.keys().next().value);
  const speed = seen.length > 1 ? rate(seen[0], seen[seen.length - 1]) : null;
  const left = speed && p.total_bytes ? ((p.total_bytes - p.bytes) / speed) * 1000 : null;
  const text = [
    p.total_bytes ? `${bytes(p.bytes)} of ${bytes(p.total_bytes)}` : bytes(p.bytes),
    plural(p.files, 'file'),
    speed ? `${bytes(speed)}/s` : null,
    left ? `about ${duration(Math.max(1000, Math.round(left / 1000) * 1000)).replace('.0', '')} left` : null,
  ].filter(Boolean).join(' · ');
  return h('div', { class: 'stack-tight' }, meter(p.total_bytes ? p.bytes / p.total_bytes : null, 'Progress'), h('span', { class: 'muted small' }, text));
}

/** @param {any} run @param {number} most problems that are listed */
export function problemsView(run, most = 50) {
  const problems = run.problems ?? [];
  if (problems.length === 0) return null;
  return h('div', null, h('h3', { class: 'bad' }, plural(problems.length, 'problem')),
    h('ul', { class: 'stack-tight small break' }, problems.slice(0, most).map((p) => h('li', { class: 'row-tight' }, icon('warning'), h('span', { class: 'grow' }, p)))),
    problems.length > most && h('p', { class: 'muted small' }, `and ${number(problems.length - most)} more`));
}

/** All about a run. @param {any} run */
export function runFacts(run) {
  const took = run.ended_at ? Date.parse(run.ended_at) - Date.parse(run.started_at) : null;
  return h('div', { class: 'stack' },
    run.state === 'running' && progressView(run),
    facts([
      ['State', stateBadge(run.state)], ['Began', time(run.started_at)], ['Ended', run.ended_at && time(run.ended_at)],
      ['Took', took !== null && duration(took)], ['Started by', run.by],
      ...Object.entries(run.summary ?? {}).map(([key, value]) => [words(key), h('span', null, fact(key, value))]),
    ].filter(([, v]) => v !== false)),
    problemsView(run));
}
