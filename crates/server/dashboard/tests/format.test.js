import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as f from '../js/format.js';

test('bytes are in decimal units with three digits at the most', () => {
  for (const [n, text] of [[0, '0 B'], [999, '999 B'], [1000, '1.00 kB'], [12345, '12.3 kB'], [999_999, '1.00 MB'], [187_344_112_003, '187 GB'], [2e12, '2.00 TB'], [-1500, '−1.50 kB']]) {
    assert.equal(f.bytes(n), text);
  }
  assert.equal(f.bytes(null), '–');
  assert.equal(f.bytes(NaN), '–');
});

test('durations are read in the unit that fits', () => {
  for (const [ms, text] of [[0, '0.0 s'], [4230, '4.2 s'], [31_400, '31 s'], [59_700, '1 min'], [200_000, '3 min 20 s'], [7_500_000, '2 h 5 min'], [53 * 3600e3, '2 days']]) {
    assert.equal(f.duration(ms), text);
  }
});

test('times ago never show a unit that is full', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  const ago = (s) => f.ago(now - s * 1000, now);
  assert.equal(ago(1), 'just now');
  assert.equal(ago(59), '59 s ago');
  assert.equal(ago(60), '1 min ago');
  assert.equal(ago(3 * 3600), '3 h ago');
  assert.equal(ago(50 * 3600), '2 days ago');
  assert.equal(ago(-600), 'in 10 min');
  assert.equal(f.ago('nonsense', now), '–');
  for (let s = 5; s < 200_000; s += 7) assert.doesNotMatch(ago(s), /^(60 s|60 min|0 )/);
});

test('days have names near to now', () => {
  const now = new Date(2026, 10, 28, 0, 30).getTime();
  assert.equal(f.day(new Date(2026, 10, 28, 23), now), 'Today');
  assert.equal(f.day(new Date(2026, 10, 27, 1), now), 'Yesterday');
  assert.match(f.day(new Date(2026, 10, 25), now), /Wednesday/);
  assert.match(f.day(new Date(2025, 10, 25), now), /2025/);
});

test('what an input for times takes comes back as the same minute', () => {
  const at = new Date(2026, 2, 5, 7, 9, 41);
  assert.equal(new Date(f.inputTime(at)).getTime(), new Date(2026, 2, 5, 7, 9).getTime());
});

test('facts are read by what their key says', () => {
  assert.equal(f.fact('bytes_added', 1_830_332_112), '1.83 GB');
  assert.equal(f.fact('seconds', 81.2), '1 min 21 s');
  assert.equal(f.fact('files_new', 1320), '1,320');
  assert.equal(f.fact('ok', true), 'yes');
  assert.equal(f.fact('quality', { score: 0.9484, sharp_at: [1, 2.5], size: { bytes: 2000 } }), 'score 0.948, sharp at 1, 2.5, size bytes 2.00 kB');
  assert.equal(f.fact('anything', null), '–');
});

test('a job is judged by its last run and by how old its success is', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  const judge = (kind, hours, state) => f.jobHealth({ kind, last_success: hours === null ? null : new Date(now - hours * 3600e3).toISOString(), last: state && { state } }, now);
  assert.equal(judge('backup', 3, 'done'), 'good');
  assert.equal(judge('backup', 3, 'partly'), 'warn');
  assert.equal(judge('backup', 3, 'failed'), 'bad');
  assert.equal(judge('backup', 49, 'done'), 'bad');
  assert.equal(judge('drill', 49, 'done'), 'good');
  assert.equal(judge('drill', 41 * 24, 'done'), 'bad');
  assert.equal(judge('backup', null, null), 'warn');
  assert.equal(judge('backup', null, 'stopped'), 'bad');
});

test('a rate needs two looks and goes forward', () => {
  assert.equal(f.rate(null, { bytes: 5, t: 1 }), null);
  assert.equal(f.rate({ bytes: 0, t: 0 }, { bytes: 500, t: 250 }), 2000);
  assert.equal(f.rate({ bytes: 9, t: 0 }, { bytes: 5, t: 10 }), null);
  assert.equal(f.rate({ bytes: 1, t: 5 }, { bytes: 5, t: 5 }), null);
});

test('browsers are told by their own names', () => {
  assert.equal(f.agentName('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'), 'Chrome on Linux');
  assert.equal(f.agentName('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1'), 'Safari on iOS');
  assert.equal(f.agentName('curl/8.5'), 'curl');
  assert.equal(f.agentName(null), 'unknown');
});

test('every kind of the API has a name', () => {
  for (const kind of ['motion', 'object', 'face_match', 'face_unknown', 'plate_read', 'camera_offline', 'camera_online', 'tamper', 'recording_gap']) {
    assert.ok(f.KINDS[kind]?.name);
  }
  assert.equal(f.kindName('of_tomorrow'), 'of tomorrow');
  assert.equal(f.eventTitle({ kind: 'motion', label: null }), 'Motion');
  assert.equal(f.eventTitle({ kind: 'object', label: 'car' }), 'car');
  assert.equal(f.eventTitle({ kind: 'face_unknown', label: 'unknown' }), 'Unknown face');
});

test('a plate is on a list as its event says', () => {
  assert.equal(f.listed({ details: { verdict: 'deny' } }), 'deny');
  assert.equal(f.listed({ details: { verdict: 'unlisted' } }), null);
  assert.equal(f.listed({ details: null }), null);
});
