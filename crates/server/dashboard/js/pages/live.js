// All cameras at once. Only those that can be seen are played.

import { h, fill, reconcile } from '../dom.js';
import { link, go } from '../router.js';
import { cameras, refreshCameras, watchCameras } from '../status.js';
import { can, session } from '../session.js';
import { CameraView, stateMarks } from '../components/camera-view.js';
import { button, empty, failed, loading, pageHead } from '../components/ui.js';
import { segmented } from '../components/form.js';
import { addCamera } from '../components/camera-dialogs.js';
import { pref, setPref } from '../prefs.js';
import { plural } from '../format.js';

function makeTile(camera) {
  const view = new CameraView(camera, { width: 640, fps: 8 });
  const marks = h('span', { class: 'row-tight' });
  const tile = h('a', { class: 'tile', href: link(['camera', camera.name]) }, view.root, h('span', { class: 'caption' }, h('strong', null, camera.name), marks));
  const update = (next) => {
    view.update(next);
    tile.classList.toggle('moving', next.state === 'live' && next.moving);
    const key = `${next.state}${next.moving}${next.recording}`;
    if (marks.dataset.state !== key) {
      marks.dataset.state = key;
      fill(marks, stateMarks(next));
    }
  };
  update(camera);
  return Object.assign(tile, { view, updateCamera: update });
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const grid = h('div', { class: 'grid' });
  const place = h('div', null, loading());
  const setColumns = (value) => {
    setPref('columns', value);
    grid.classList.toggle('fixed', value !== 'auto');
    if (value === 'auto') grid.style.removeProperty('--columns');
    else grid.style.setProperty('--columns', value);
  };
  const columns = pref('columns', 'auto');
  setColumns(columns);
  const summary = h('span', { class: 'muted' });
  host.append(
    pageHead('Live', summary,
      h('div', { class: 'wide-only' }, segmented('Columns', [['auto', 'Auto'], ['1', '1'], ['2', '2'], ['3', '3'], ['4', '4']], columns, setColumns)),
      can('cameras:write') && button('Add camera', { icon: 'plus', class: 'primary', on: async () => {
        const camera = await addCamera();
        if (camera) go(link(['camera', camera.name]));
      } })),
    place);

  const visible = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      visible.set(entry.target, entry.isIntersecting);
      entry.target.view.show(entry.isIntersecting && !document.hidden);
    }
  }, { rootMargin: '60px' });
  document.addEventListener('visibilitychange', () => {
    for (const [tile, seen] of visible) tile.view.show(seen && !document.hidden);
  }, { signal });

  function draw(list) {
    if (!list) return;
    summary.textContent = list.length ? plural(list.length, 'camera') : '';
    if (list.length === 0) {
      fill(place, session.get()?.cameras
        ? empty('camera', 'No cameras for this account', 'An administrator can allow it some.')
        : empty('camera', 'No cameras yet', can('cameras:write')
          ? 'Add one by its address, or name cameras in the configuration file.'
          : 'An administrator can add them here or in the configuration file.'));
      grid.replaceChildren();
      return;
    }
    const before = new Set(grid.children);
    reconcile(grid, list, (c) => c.name, makeTile, (tile, camera) => tile.updateCamera(camera));
    for (const tile of grid.children) if (!before.delete(tile)) watcher.observe(tile);
    for (const gone of before) {
      watcher.unobserve(gone);
      visible.delete(gone);
      gone.view.destroy();
    }
    if (!grid.isConnected) fill(place, grid);
  }

  watchCameras(signal);
  cameras.follow(draw, signal);
  if (!cameras.get()) {
    refreshCameras().catch((error) => {
      if (!cameras.get()) fill(place, failed(error, () => refreshCameras().catch(() => {})));
    });
  }
  signal.addEventListener('abort', () => {
    watcher.disconnect();
    for (const tile of grid.children) tile.view.destroy();
  });
}
