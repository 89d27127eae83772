// Choosing the cameras that a user or a token may see.

import { h, fill } from '../dom.js';
import { cameras, refreshCameras } from '../status.js';
import { tick } from './form.js';

/**
 * @param {string[]|null} chosen null for all
 * @returns {Promise<{root: HTMLElement, value: () => string[]|null}>}
 */
export async function cameraChoice(chosen) {
  let list = cameras.get();
  if (!list) {
    try {
      list = await refreshCameras();
    } catch {
      list = [];
    }
  }
  const names = [...new Set([...list.map((c) => c.name), ...(chosen ?? [])])];
  const boxes = names.map((name) => tick(name, { value: name, checked: chosen?.includes(name) ?? false }));
  const some = h('div', { hidden: chosen === null });
  fill(some, boxes);
  const all = tick('All cameras', { checked: chosen === null, on: { change: (e) => { some.hidden = e.currentTarget.checked; } } });
  return {
    root: h('fieldset', { class: 'plain' }, h('legend', { class: 'legend' }, 'Cameras'), all, some),
    value: () => (all.firstElementChild.checked ? null : boxes.map((b) => b.firstElementChild).filter((b) => b.checked).map((b) => b.value)),
  };
}
