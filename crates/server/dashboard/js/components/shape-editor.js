// Zones and masks drawn over a camera's picture, by pointer and by keyboard.

import { h, svg, fill } from '../dom.js';
import { contains, middle, moved, nearest, point, withCorner, withPoint, withoutCorner, freeName } from '../polygon.js';

/** What an arrow key moves by: a hundredth of the picture, with Shift five, with Alt a fifth. */
const STEP = 0.01;
const CLOSE_PX = 14;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
export const KIND_NAMES = { zone: 'Zone', mask: 'Mask', privacy: 'Privacy mask' };
const MOST_UNDO = 50;

/**
 * @param {import('../polygon.js').Shape[]} shapes
 * @param {number} i
 * @returns {string} its name, or its kind and number
 */
export function shapeName(shapes, i) {
  const { name, kind } = shapes[i];
  return name || `${KIND_NAMES[kind]} ${shapes.slice(0, i + 1).filter((s) => s.kind === kind).length}`;
}

/** The shapes of one picture; its element `root` lies over it. */
export class ShapeEditor {
  /** @param {{changed: () => void, drawing: (kind: string|null) => void}} events */
  constructor(events) {
    this.events = events;
    /** @type {import('../polygon.js').Shape[]} */
    this.shapes = [];
    this.past = [];
    this.selected = -1;
    this.editing = false;
    this.draft = null;
    this.svg = svg('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    this.knobs = h('div');
    this.root = h('div', { class: 'shapes' }, this.svg, this.knobs);
    this.root.addEventListener('pointerdown', (e) => this.#down(e));
    this.root.addEventListener('pointermove', (e) => this.#move(e));
    this.root.addEventListener('pointerup', () => this.#up());
    this.root.addEventListener('pointercancel', () => this.#up());
    this.root.addEventListener('keydown', (e) => this.#key(e));
  }

  /** @param {import('../polygon.js').Shape[]} shapes */
  set(shapes) {
    this.shapes = structuredClone(shapes);
    this.past = [];
    this.select(-1);
  }

  /** @param {boolean} on whether shapes can be changed; they are seen in any case */
  edit(on) {
    this.editing = on;
    if (!on) {
      this.draft = null;
      this.selected = -1;
    }
    this.draw();
  }

  /** @param {number} i -1 for none */
  select(i) {
    this.selected = i;
    this.draw();
    this.events.changed();
  }

  /** Remembers how it was, then changes. */
  change(fn) {
    this.#remember();
    fn(this.shapes);
    this.draw();
    this.events.changed();
  }

  #remember() {
    this.past.push(structuredClone(this.shapes));
    if (this.past.length > MOST_UNDO) this.past.shift();
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    this.shapes = before;
    this.select(Math.min(this.selected, before.length - 1));
  }

  /** @param {number} i */
  remove(i) {
    this.change((shapes) => shapes.splice(i, 1));
    this.select(-1);
  }

  #add(kind, points) {
    this.change((shapes) => shapes.push({ kind, name: kind === 'zone' ? freeName(shapes) : '', points }));
    this.select(this.shapes.length - 1);
  }

  /** A rectangle to begin with, for those who do not draw. @param {string} kind */
  addRectangle(kind) {
    this.stopDrawing();
    this.#add(kind, [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]]);
    this.knobs.querySelector('[data-knob="0"]')?.focus();
  }

  /** Begins a shape of which each press sets a corner. @param {string} kind */
  startDrawing(kind) {
    this.selected = -1;
    this.draft = { kind, points: [], at: null };
    this.draw();
    this.root.tabIndex = -1;
    this.root.focus();
    this.events.drawing(kind);
  }

  stopDrawing() {
    if (!this.draft) return;
    this.draft = null;
    this.draw();
    this.events.drawing(null);
  }

  finishDrawing() {
    const { draft } = this;
    if (!draft || draft.points.length < 3) return;
    this.stopDrawing();
    this.#add(draft.kind, draft.points);
  }

  #at(event) {
    const box = this.root.getBoundingClientRect();
    return point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  #down(event) {
    if (!this.editing || event.button !== 0) return;
    const at = this.#at(event);
    if (this.draft) {
      event.preventDefault();
      const box = this.root.getBoundingClientRect();
      const { points } = this.draft;
      if (points.length >= 3 && nearest(at, [points[0]], { width: box.width, height: box.height, reach: CLOSE_PX }) === 0) this.finishDrawing();
      else {
        points.push(at);
        this.draw();
      }
      return;
    }
    const knob = event.target.closest('.knob');
    if (knob) {
      knob.focus();
      const between = knob.dataset.between;
      if (between !== undefined) {
        this.change((shapes) => { shapes[this.selected].points = withCorner(shapes[this.selected].points, Number(between)); });
        this.drag = { corner: Number(between) + 1 };
      } else {
        this.#remember();
        this.drag = knob.dataset.knob === 'all' ? { from: at } : { corner: Number(knob.dataset.knob) };
      }
    } else {
      // The topmost under the pointer.
      const i = this.shapes.findLastIndex((s) => contains(at, s.points));
      if (i !== this.selected) this.select(i);
      if (i < 0) return;
      this.#remember();
      this.drag = { from: at };
    }
    event.preventDefault();
    this.root.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const at = this.draft || this.drag ? this.#at(event) : null;
    if (this.draft) {
      this.draft.at = at;
      this.#drawSvg();
    } else if (this.drag) {
      const shape = this.shapes[this.selected];
      if (this.drag.corner !== undefined) {
        shape.points = withPoint(shape.points, this.drag.corner, at);
      } else {
        shape.points = moved(shape.points, at[0] - this.drag.from[0], at[1] - this.drag.from[1]);
        this.drag.from = at;
      }
      this.#drawSvg();
      this.#placeKnobs();
    }
  }

  #up() {
    if (!this.drag) return;
    this.drag = null;
    // A press that moved nothing is nothing to undo.
    if (JSON.stringify(this.past.at(-1)) === JSON.stringify(this.shapes)) this.past.pop();
    this.draw();
    this.events.changed();
  }

  #key(event) {
    if (!this.editing) return;
    if ((event.ctrlKey || event.metaKey) && event.key === 'z') {
      event.preventDefault();
      this.undo();
      return;
    }
    if (this.draft) {
      if (event.key === 'Enter') this.finishDrawing();
      else if (event.key === 'Escape') this.stopDrawing();
      else if (event.key === 'Backspace') {
        this.draft.points.pop();
        this.draw();
      } else return;
      event.preventDefault();
      return;
    }
    const knob = event.target.closest?.('.knob');
    const shape = this.shapes[this.selected];
    if (!knob || !shape) return;
    const { knob: name, between } = knob.dataset;
    const arrow = ARROWS[event.key];
    if (arrow && between === undefined) {
      const by = STEP * (event.shiftKey ? 5 : event.altKey ? 0.2 : 1);
      const [dx, dy] = [arrow[0] * by, arrow[1] * by];
      this.change(() => {
        if (name === 'all') shape.points = moved(shape.points, dx, dy);
        else {
          const [x, y] = shape.points[Number(name)];
          shape.points = withPoint(shape.points, Number(name), [x + dx, y + dy]);
        }
      });
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      if (name === 'all') this.remove(this.selected);
      else if (between === undefined) this.change(() => { shape.points = withoutCorner(shape.points, Number(name)); });
    } else if (event.key === 'Enter' && between !== undefined) {
      this.change(() => { shape.points = withCorner(shape.points, Number(between)); });
      this.knobs.querySelector(`[data-knob="${Number(between) + 1}"]`)?.focus();
    } else return;
    event.preventDefault();
  }

  draw() {
    this.root.classList.toggle('editing', this.editing);
    this.root.classList.toggle('drawing', Boolean(this.draft));
    this.#drawSvg();
    this.#drawKnobs();
  }

  #drawSvg() {
    const text = (points) => points.map((p) => p.join(',')).join(' ');
    const { draft } = this;
    fill(this.svg,
      this.shapes.map((s, i) => svg('polygon', { class: `s-${s.kind} ${i === this.selected ? 'selected' : ''}`, points: text(s.points) })),
      draft && svg('polyline', { class: `s-${draft.kind}`, points: text([...draft.points, ...(draft.at ? [draft.at] : [])]) }));
  }

  #drawKnobs() {
    const focused = document.activeElement?.dataset?.knob;
    const had = this.knobs.contains(document.activeElement);
    const shape = this.shapes[this.selected];
    if (this.draft) {
      this.knobs.className = `s-${this.draft.kind}`;
      fill(this.knobs, this.draft.points.map((p) => h('span', { class: 'knob', style: { left: `${p[0] * 100}%`, top: `${p[1] * 100}%` } })));
      return;
    }
    if (!this.editing || !shape) {
      fill(this.knobs);
      return;
    }
    this.knobs.className = `s-${shape.kind}`;
    const n = shape.points.length;
    fill(this.knobs,
      shape.points.map((_, i) => h('button', { type: 'button', class: 'knob between', 'aria-label': `New corner after corner ${i + 1}`, data: { between: i } })),
      shape.points.map((_, i) => h('button', { type: 'button', class: 'knob', 'aria-label': `Corner ${i + 1} of ${n}; arrow keys move it, Delete removes it`, data: { knob: i } })),
      h('button', { type: 'button', class: 'knob whole', 'aria-label': `All of ${shapeName(this.shapes, this.selected)}; arrow keys move it, Delete removes it`, data: { knob: 'all' } }));
    this.#placeKnobs();
    if (had && focused !== undefined) (this.knobs.querySelector(`[data-knob="${focused}"]`) ?? this.knobs.querySelector('[data-knob="0"]'))?.focus();
  }

  #placeKnobs() {
    const { points } = this.shapes[this.selected];
    for (const knob of this.knobs.children) {
      const { knob: name, between } = knob.dataset;
      const at = name === 'all' ? middle(points)
        : between !== undefined ? middle([points[Number(between)], points[(Number(between) + 1) % points.length]])
          : points[Number(name)];
      if (!at) continue;
      knob.style.left = `${at[0] * 100}%`;
      knob.style.top = `${at[1] * 100}%`;
    }
  }
}
