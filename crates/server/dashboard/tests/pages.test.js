import { test } from 'node:test';
import assert from 'node:assert/strict';
import { address, detailText } from '../js/api.js';
import { meant, patchOf, shown } from '../js/components/camera-settings.js';
import { marksAt } from '../js/components/clip-player.js';
import { clean, fits } from '../js/pages/plates.js';
import { crumbs, join, modeText } from '../js/pages/vault.js';

test('names are encoded in addresses, and empty values left out', () => {
  assert.equal(address(['cameras', 'a/b c', 'snapshot'], { width: 640, t: '' }), '/api/v1/cameras/a%2Fb%20c/snapshot?width=640');
  assert.equal(address('events', { kind: ['motion', 'object'], since: new Date(0), after: null }), '/api/v1/events?kind=motion&kind=object&since=1970-01-01T00%3A00%3A00.000Z');
});

test('an error is told in words, whichever form it has', () => {
  assert.equal(detailText('no'), 'no');
  assert.equal(detailText([{ loc: ['body', 'url'], msg: 'must be an address' }, { loc: [], msg: 'and more' }]), 'url: must be an address; and more');
  assert.equal(detailText(undefined), '');
});

test('only what was changed is sent, in the form of a merge patch', () => {
  const sensitivity = { path: ['motion', 'sensitivity'], number: {} };
  const area = { path: ['motion', 'min_area'], number: {}, scale: 100 };
  const faces = { path: ['recognize', 'faces'], tri: true };
  const record = { path: ['record'] };
  assert.deepEqual(patchOf([
    { field: sensitivity, before: '0.5', after: '0.7' }, { field: area, before: '0.5', after: '1.25' },
    { field: faces, before: 'true', after: '' }, { field: record, before: 'events', after: 'events' },
  ]), { motion: { sensitivity: 0.7, min_area: 0.0125 }, recognize: { faces: null } });
  assert.deepEqual(patchOf([{ field: record, before: 'off', after: 'off' }]), {});
  for (const value of [0.005, 0.0001, 1, 0.3333]) assert.equal(meant(area, shown(area, value)), value);
  assert.equal(shown(sensitivity, 0.800000011920929), '0.8');
  assert.equal(shown(faces, null), '');
  assert.equal(meant(faces, 'false'), false);
});

test('marks are those near to the moment, the nearest of each track', () => {
  const at = (ms) => new Date(ms).toISOString();
  const region = { x: 0, y: 0, w: 1, h: 1 };
  const seen = [
    { at: at(1000), label: 'a', track: 1, region }, { at: at(1300), label: 'b', track: 1, region },
    { at: at(1100), label: 'c', track: 2, region }, { at: at(9000), label: 'd', track: 3, region }, { at: at(1200), label: 'e', track: 4 },
  ];
  assert.deepEqual(marksAt(seen, 1250).map((o) => o.label), ['b', 'c']);
  assert.deepEqual(marksAt(seen, 5000), []);
});

test('plates are found however they are written', () => {
  assert.equal(clean('b-mk 4711'), 'BMK4711');
  const entry = { plate: 'BMK4711', description: 'Anna’s car' };
  assert.ok(fits(entry, 'mk-47'));
  assert.ok(fits(entry, 'anna'));
  assert.ok(fits(entry, ''));
  assert.ok(!fits(entry, 'otto'));
  assert.ok(!fits({ plate: 'X1', description: null }, '-'));
});

test('the way to a folder leads there', () => {
  assert.deepEqual(crumbs('/').map((c) => c.path), ['/']);
  assert.deepEqual(crumbs('/home/an na').map((c) => c.path), ['/', '/home', '/home/an na']);
  assert.equal(join('/', 'etc'), '/etc');
  assert.equal(join('/home', 'x%20y'), '/home/x%20y');
  assert.equal(modeText('0754'), 'rwxr-xr--');
  assert.equal(modeText('0000'), '---------');
});
