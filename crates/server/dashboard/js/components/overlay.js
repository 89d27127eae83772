// What moves and what is followed, drawn over a live picture.

import { h } from '../dom.js';

/** So long after the last word about them, marks are taken away. */
const STALE_MS = 1500;

/** A canvas over a picture; `root` is put into it. */
export class Overlay {
  constructor() {
    this.root = h('canvas', { 'aria-hidden': 'true' });
    this.root.style.pointerEvents = 'none';
    this.on = true;
    this.timer = 0;
    this.sizes = new ResizeObserver(() => this.draw(this.last));
    this.sizes.observe(this.root);
  }

  /** @param {boolean} on */
  toggle(on) {
    this.on = on;
    this.draw(this.last);
  }

  /** @param {{moving: any[], tracks: any[]}|null} overlay as the live view tells it */
  draw(overlay) {
    clearTimeout(this.timer);
    this.last = overlay;
    const { root } = this;
    const scale = window.devicePixelRatio || 1;
    const [w, hgt] = [root.clientWidth, root.clientHeight];
    if (root.width !== Math.round(w * scale) || root.height !== Math.round(hgt * scale)) {
      root.width = Math.round(w * scale);
      root.height = Math.round(hgt * scale);
    }
    const c = root.getContext('2d');
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, w, hgt);
    if (!overlay || !this.on) return;
    c.lineWidth = 1.5;
    c.setLineDash([5, 4]);
    c.strokeStyle = '#ffd27a';
    for (const r of overlay.moving ?? []) c.strokeRect(r.x * w, r.y * hgt, r.w * w, r.h * hgt);
    c.setLineDash([]);
    c.lineWidth = 2;
    c.font = '600 13px system-ui, sans-serif';
    c.textBaseline = 'middle';
    for (const t of overlay.tracks ?? []) {
      const { x, y, w: rw, h: rh } = t.region;
      c.strokeStyle = '#5ff0cf';
      c.strokeRect(x * w, y * hgt, rw * w, rh * hgt);
      // What is not known yet, like a plate before it is read, has no name.
      if (!t.label) continue;
      const text = `${t.label}${Number.isFinite(t.score) ? ` ${Math.round(t.score * 100)} %` : ''}`;
      const width = c.measureText(text).width + 12;
      const left = Math.min(Math.max(0, x * w - 1), Math.max(0, w - width));
      const top = y * hgt >= 21 ? y * hgt - 20 : y * hgt;
      c.fillStyle = 'rgb(6 22 19 / 85%)';
      c.fillRect(left, top, width, 20);
      c.fillStyle = '#5ff0cf';
      c.fillText(text, left + 6, top + 10.5);
    }
    this.timer = setTimeout(() => this.draw(null), STALE_MS);
  }

  destroy() {
    clearTimeout(this.timer);
    this.sizes.disconnect();
  }
}
