import { test } from 'node:test';
import assert from 'node:assert/strict';
import { eventLink, link, parse } from '../js/router.js';

test('addresses are read as they were written, whatever is in them', () => {
  for (const path of [['live'], ['camera', 'front-door'], ['vault', 'main', 'a/b ?#&%']]) {
    for (const query of [{}, { path: '/home/älter & co?', after: '' }, { camera: ['a', 'b'] }]) {
      const route = parse(link(path, query));
      assert.deepEqual(route.path, path);
      assert.equal(route.query.get('path'), query.path ?? null);
      assert.deepEqual(route.query.getAll('camera'), query.camera ?? []);
      assert.ok(!route.query.has('after'), 'what is empty is left out');
    }
  }
});

test('what is no address gives no error', () => {
  assert.deepEqual(parse('').path, []);
  assert.deepEqual(parse('#').path, []);
  assert.deepEqual(parse('#//%zz/').path, ['%zz']);
});

test('an event lies over the page that is open', () => {
  const route = parse('#/camera/yard?tab=zones');
  assert.equal(eventLink('e1', route), '#/camera/yard?tab=zones&event=e1');
  assert.equal(eventLink(null, parse(eventLink('e1', route))), '#/camera/yard?tab=zones');
});
