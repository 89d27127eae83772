// A camera's settings as a form; only what was changed is sent.

import { h, fill } from '../dom.js';
import { patch } from '../api.js';
import { button, facts, failed, notice, time } from './ui.js';
import { field, input, select } from './form.js';
import { toast } from './toast.js';
import * as format from '../format.js';

const TRI = [['', 'As in the configuration'], ['true', 'Yes'], ['false', 'No']];

/** Where a field's value is in `settings`, and what it is. */
const FIELDS = [
  { path: ['record'], label: 'Record', choices: [['events', 'A clip for each event'], ['continuous', 'Everything'], ['off', 'Pictures only']] },
  { path: ['pre_roll'], label: 'Before an event', duration: true, help: 'Such as 5s; held in memory' },
  { path: ['post_roll'], label: 'After an event', duration: true },
  { path: ['max_clip'], label: 'Longest clip', duration: true },
  { path: ['decode'], label: 'Look for motion in', choices: [['adaptive', 'Key frames until something moves'], ['keyframes', 'Key frames only'], ['all', 'All frames'], ['none', 'None']] },
  { path: ['fps_target'], label: 'Frames analysed', unit: '/ s', number: { min: 0.1, max: 60, step: 'any' } },
  { path: ['motion', 'sensitivity'], label: 'Sensitivity', number: { min: 0, max: 1, step: 0.01 }, help: '0 to 1; at 1 the faintest change counts' },
  { path: ['motion', 'min_area'], label: 'Least size', unit: '%', help: 'Of the picture', number: { min: 0.01, max: 100, step: 'any' }, scale: 100 },
  { path: ['motion', 'min_duration'], label: 'Least duration', duration: true },
  { path: ['motion', 'quiet'], label: 'Motion has ended after', duration: true },
  { path: ['recognize', 'faces'], label: 'Recognise faces', tri: true },
  { path: ['recognize', 'plates'], label: 'Recognise plates', tri: true },
  { path: ['recognize', 'objects'], label: 'Recognise objects', tri: true },
  { path: ['transport'], label: 'Transport', choices: [['tcp', 'TCP'], ['udp', 'UDP']] },
  { path: ['read_timeout'], label: 'Offline after', duration: true },
];
const GROUPS = [['Recording', 0, 4], ['Motion', 4, 10], ['Recognition', 10, 13], ['Connection', 13, 15]];

const valueAt = (settings, path) => path.reduce((v, key) => v?.[key], settings);

/** @param {any} f of FIELDS @param {any} value @returns {string} as the field shows it */
export function shown(f, value) {
  if (value === null || value === undefined) return '';
  // Single precision on the other side: 0.8 comes as 0.800000011920929.
  if (typeof value === 'number') return String(Math.round(value * (f.scale ?? 1) * 1e4) / 1e4);
  return String(value);
}

/** @param {any} f of FIELDS @param {string} text @returns {any} for PATCH; null for the default */
export function meant(f, text) {
  if (text === '') return null;
  if (f.tri) return text === 'true';
  if (f.number) return Math.round((Number(text) / (f.scale ?? 1)) * 1e6) / 1e6;
  return text;
}

/**
 * The merge patch (RFC 7396) from what a form shows.
 * @param {{field: any, before: string, after: string}[]} rows
 */
export function patchOf(rows) {
  const out = {};
  for (const { field: f, before, after } of rows) {
    if (before === after) continue;
    let at = out;
    for (const key of f.path.slice(0, -1)) at = at[key] ??= {};
    at[f.path.at(-1)] = meant(f, after);
  }
  return out;
}

function control(f, value, disabled) {
  const name = f.path.join('.');
  const text = shown(f, value);
  if (f.choices) {
    const choices = f.choices.some(([v]) => v === text) ? f.choices : [[text, text || 'Default'], ...f.choices];
    return select(name, choices, text, { disabled });
  }
  if (f.tri) return select(name, TRI, text, { disabled });
  if (f.number) return input(name, { type: 'number', inputmode: 'decimal', ...f.number, value: text, disabled });
  return input(name, { value: text, title: 'A number with ms, s, m or h', disabled });
}

/**
 * @param {any} camera with settings
 * @param {boolean} writable
 * @param {(camera: any) => void} saved
 */
export function cameraSettings(camera, writable, saved) {
  const before = FIELDS.map((f) => shown(f, valueAt(camera.settings, f.path)));
  const controls = FIELDS.map((f) => control(f, valueAt(camera.settings, f.path), !writable));
  const problem = h('div', { 'aria-live': 'polite' });
  const save = button('Save', { class: 'primary', type: 'submit' });
  const url = input('url', { placeholder: camera.url, inputmode: 'url', spellcheck: 'false', autocapitalize: 'off' });
  const user = input('user', { placeholder: 'unchanged', autocapitalize: 'off', spellcheck: 'false' });
  const password = input('password', { type: 'password', placeholder: 'unchanged', autocomplete: 'new-password' });
  const address = writable && camera.from === 'store' && h('fieldset', { class: 'plain form' }, h('legend', { class: 'legend' }, 'Address'),
    field('New address', url), h('div', { class: 'form-grid' }, field('User', user), field('Password', password)));
  const form = h('form', { class: 'form', on: { submit: async (event) => {
    event.preventDefault();
    const body = patchOf(FIELDS.map((f, i) => ({ field: f, before: before[i], after: controls[i].value.trim() })));
    if (url.value.trim()) body.url = url.value.trim();
    if (user.value.trim()) body.user = user.value.trim();
    if (password.value) body.password = password.value;
    if (Object.keys(body).length === 0) {
      toast('Nothing was changed');
      return;
    }
    save.disabled = true;
    fill(problem);
    try {
      const answer = await patch(['cameras', camera.name], body);
      toast('The settings were saved');
      saved(answer);
    } catch (error) {
      fill(problem, failed(error));
    } finally {
      save.disabled = false;
    }
  } } },
  camera.from === 'file' && writable && notice('', 'This camera is in the configuration file. What is changed here counts more than the file.'),
  GROUPS.map(([name, from, to]) => h('fieldset', { class: 'plain form' }, h('legend', { class: 'legend' }, name),
    h('div', { class: 'form-grid' }, FIELDS.slice(from, to).map((f, i) => field(f.label, controls[from + i], { help: f.help, unit: f.unit, wide: Boolean(f.choices) && f.path[0] !== 'transport' }))))),
  address, problem, writable && h('div', { class: 'actions' }, save));
  return form;
}

/** @param {any} c a camera */
export const cameraFacts = (c) => facts([
  ['Address', h('span', { class: 'mono' }, c.url)],
  ['State', h('span', null, c.state, c.since && [' since ', time(c.since, 'ago')])],
  ['Reason', c.reason],
  ['Picture', c.width ? `${c.width} × ${c.height}, ${c.codec ?? 'unknown'}, ${Number(c.fps_in ?? 0).toFixed(1)} a second` : null],
  ['Frames', `${format.number(c.frames ?? 0)} seen, ${format.number(c.analysed ?? 0)} analysed, ${format.number(c.dropped ?? 0)} dropped`],
  ['Received', format.bytes(c.bytes)],
  ['Reconnects', format.number(c.reconnects ?? 0)],
  ['From', c.from === 'file' ? 'the configuration file' : 'the dashboard or the API'],
]);
