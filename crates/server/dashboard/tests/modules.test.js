import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const scripts = readdirSync(join(root, 'js'), { recursive: true }).filter((f) => f.endsWith('.js')).map((f) => join(root, 'js', f));
const sheets = readdirSync(join(root, 'css')).map((f) => join(root, 'css', f));

test('modules import what is there', () => {
  for (const file of scripts) {
    const text = readFileSync(file, 'utf8');
    for (const [, names, from] of text.matchAll(/^import (?:\{([^}]*)\}|\* as \w+) from '([^']+)';/gm)) {
      const target = readFileSync(join(dirname(file), from), 'utf8');
      for (const name of (names ?? '').split(',').map((n) => n.trim().split(' as ')[0]).filter(Boolean)) {
        assert.match(target, new RegExp(`export (async )?(const|function\\*?|class|let) ${name}\\b`), `${name} of ${from} in ${file}`);
      }
    }
    for (const [, from] of text.matchAll(/import\('([^']+)'\)/g)) readFileSync(join(dirname(file), from));
  }
});

test('nothing parses markup, evaluates text or comes from elsewhere', () => {
  for (const file of [...scripts, ...sheets, join(root, 'index.html'), join(root, 'favicon.svg')]) {
    const text = readFileSync(file, 'utf8');
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, file);
    assert.doesNotMatch(text.replaceAll('http://www.w3.org/2000/svg', '').replace(/(placeholder|help): .*/g, ''), /https?:\/\/[\w.]/, file);
    assert.doesNotMatch(text, /console\.(log|debug|info)/, file);
  }
});

test('the page has no script or style of its own', () => {
  const page = readFileSync(join(root, 'index.html'), 'utf8');
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
  for (const [, file] of page.matchAll(/(?:src|href)="([^"]+)"/g)) readFileSync(join(root, file));
});

test('files stay small', () => {
  for (const file of scripts) {
    const lines = readFileSync(file, 'utf8').split('\n').length;
    assert.ok(lines <= 360, `${file} has ${lines} lines`);
  }
});
