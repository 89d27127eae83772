// The list beside the picture: which zones and masks there are, their names, save and discard.

import { h, fill } from '../dom.js';
import { patch } from '../api.js';
import { area, crossesItself, settingsOf, shapesOf } from '../polygon.js';
import { percent } from '../format.js';
import { button, failed, notice } from './ui.js';
import { input, segmented } from './form.js';
import { toast } from './toast.js';
import { KIND_NAMES, ShapeEditor, shapeName } from './shape-editor.js';

const EXPLAIN = {
  zone: 'Motion counts only within zones. Without one it counts everywhere.',
  mask: 'Motion within masks never counts: trees, a street, a clock.',
  privacy: 'Privacy masks are blackened in pictures of events. The live view is then made of pictures, not of video.',
};
/** As many zones and as many masks as a camera may have. */
const MOST = 32;

/**
 * @param {string} camera name
 * @param {boolean} writable
 * @param {(camera: any) => void} saved called with what the server answered
 */
export function zonePanel(camera, writable, saved) {
  let original = [];
  let kind = 'zone';
  const explain = h('p', { class: 'muted small' });
  const list = h('ul', { class: 'shape-list' });
  const problem = h('div', { 'aria-live': 'polite' });
  const hint = h('div', { 'aria-live': 'polite' });
  const editor = new ShapeEditor({ changed: () => draw(), drawing: (drawn) => drawHint(drawn) });
  const draw1 = button('Draw', { icon: 'plus', on: () => { if (room()) editor.startDrawing(kind); } });
  const rectangle = button('Add a rectangle', { on: () => { if (room()) editor.addRectangle(kind); } });
  const undo = button('Undo', { icon: 'undo', class: 'plain', on: () => editor.undo() });
  const discard = button('Discard', { class: 'plain', on: () => { editor.stopDrawing(); editor.set(original); } });
  const save = button('Save', { class: 'primary', on: store });
  const setKind = (next) => {
    kind = next;
    explain.textContent = EXPLAIN[kind];
  };
  setKind('zone');

  const room = () => {
    if (editor.shapes.filter((s) => s.kind === kind).length < MOST) return true;
    toast(`There can be ${MOST} of them`, { bad: true });
    return false;
  };

  function drawHint(drawn) {
    fill(hint, drawn && notice('', 'Press on the corners, one after the other.', h('span', { class: 'row' }, 'The first one again, or Enter, finishes; Escape stops.',
      button('Finish', { class: 'tiny', on: () => editor.finishDrawing() }), button('Stop', { class: 'tiny', on: () => editor.stopDrawing() }))));
  }

  const dirty = () => JSON.stringify(settingsOf(editor.shapes)) !== JSON.stringify(settingsOf(original));

  async function store() {
    const names = editor.shapes.filter((s) => s.kind === 'zone').map((s) => s.name.trim());
    if (names.some((n) => !n) || new Set(names).size !== names.length) {
      fill(problem, notice('bad', 'Each zone needs a name of its own.'));
      return;
    }
    save.disabled = true;
    fill(problem);
    try {
      const answer = await patch(['cameras', camera], settingsOf(editor.shapes));
      original = shapesOf(answer.settings);
      editor.set(original);
      toast('Zones and masks were saved');
      saved(answer);
    } catch (error) {
      fill(problem, failed(error));
    } finally {
      draw();
    }
  }

  function row(shape, i) {
    const selected = i === editor.selected;
    const name = shape.kind === 'zone' && writable
      ? input(`name${i}`, { value: shape.name, 'aria-label': 'Name of the zone', maxlength: 64, on: {
        focus: () => { if (editor.selected !== i) { editor.selected = i; editor.draw(); mark(); } },
        input: (e) => { shape.name = e.currentTarget.value; buttons(); },
      } })
      : h('span', null, shapeName(editor.shapes, i));
    return h('li', { class: selected ? 'selected' : '' },
      h('button', { type: 'button', class: 'button plain tiny square', 'aria-pressed': String(selected), 'aria-label': `Select ${shapeName(editor.shapes, i)}`, on: { click: () => editor.select(selected ? -1 : i) } }, h('span', { class: `swatch s-${shape.kind}` })),
      h('div', { class: 'stack-tight' }, name, h('span', { class: 'muted small' }, `${KIND_NAMES[shape.kind]}, ${percent(area(shape.points))} of the picture`,
        crossesItself(shape.points) && h('span', { class: 'warn' }, ' · its sides cross'))),
      writable ? button('', { icon: 'trash', label: `Delete ${shapeName(editor.shapes, i)}`, class: 'plain tiny', on: () => editor.remove(i) }) : h('span'));
  }

  function mark() {
    for (const [i, li] of [...list.children].entries()) li.classList.toggle('selected', i === editor.selected);
  }
  function buttons() {
    const changed = dirty();
    save.disabled = !changed;
    discard.disabled = !changed;
    undo.disabled = editor.past.length === 0;
  }
  function draw() {
    // Not while a name is typed: the field would lose the focus.
    if (list.contains(document.activeElement) && document.activeElement.tagName === 'INPUT' && list.childElementCount === editor.shapes.length) mark();
    else if (editor.shapes.length) fill(list, editor.shapes.map(row));
    else fill(list, h('li', { class: 'muted' }, h('span'), 'None yet: motion counts everywhere.'));
    buttons();
  }

  const root = h('div', { class: 'stack' },
    writable && h('div', { class: 'stack-tight' },
      segmented('What to add', Object.entries(KIND_NAMES), kind, setKind), explain, h('div', { class: 'row' }, draw1, rectangle)),
    hint, list,
    writable && [problem, h('div', { class: 'actions' }, undo, discard, save),
      h('p', { class: 'muted small' }, 'Corners are dragged, or moved with the arrow keys (Shift: far, Alt: fine). Delete removes one; the small points between make new ones.')]);
  draw();
  return {
    root, editor, dirty,
    /** @param {any} settings */
    set(settings) {
      original = shapesOf(settings);
      editor.set(original);
    },
  };
}
