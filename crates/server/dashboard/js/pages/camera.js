// One camera: its picture, what happened there, zones and settings.

import { h, fill, reconcile } from '../dom.js';
import { get, address } from '../api.js';
import { go, link } from '../router.js';
import { can } from '../session.js';
import { cameras, watchCameras } from '../status.js';
import { onEvent, stream } from '../stream.js';
import { CameraView, stateMarks } from '../components/camera-view.js';
import { Overlay } from '../components/overlay.js';
import { zonePanel } from '../components/zone-panel.js';
import { cameraFacts, cameraSettings } from '../components/camera-settings.js';
import { removeCamera } from '../components/camera-dialogs.js';
import { button, empty, linkButton, loading, showIn, tabs } from '../components/ui.js';
import { eventCard, updateCard } from '../components/event-card.js';
import { recordingPlayer } from '../components/recording-player.js';
import { toast } from '../components/toast.js';
import { offerNeighbours } from '../components/event-dialog.js';
import { EventList } from '../event-list.js';
import { pref, setPref } from '../prefs.js';

const RECENT = 12;

function recentEvents(name, signal) {
  const list = new EventList();
  const host = h('div', { class: 'event-list narrow' });
  const place = h('div', { class: 'stack' }, loading());
  const draw = () => {
    const events = list.all().slice(0, RECENT);
    if (events.length === 0) {
      fill(place, empty('events', 'Nothing yet', 'What this camera sees appears here.'));
      return;
    }
    reconcile(host, events, (e) => e.id, (e) => eventCard(e, { withDay: true }), (el, e) => updateCard(el, e, { withDay: true }));
    if (!host.isConnected) fill(place, host, linkButton('All events of this camera', link(['events'], { camera: name, span: '7d' })));
  };
  const load = () => showIn(place, async () => {
    list.clear();
    list.addPage(await get('events', { camera: name, limit: RECENT }, signal));
    draw();
    return null;
  });
  onEvent((event) => {
    if (event.camera !== name) return;
    list.tell(event);
    list.fresh.length = Math.min(list.fresh.length, RECENT);
    draw();
  }, signal);
  offerNeighbours((id, by) => {
    const all = list.all().slice(0, RECENT);
    const i = all.findIndex((e) => e.id === id);
    return i < 0 ? null : all[i + by]?.id ?? null;
  }, signal);
  stream.addEventListener('gap', load, { signal });
  load();
  return place;
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export async function mount(host, route, signal) {
  const name = route.path[1];
  fill(host, loading());
  let camera = await get(['cameras', name], {}, signal);
  document.title = `${name} – Keepwatch`;
  const writable = can('cameras:write');

  const delay = h('span', { class: 'mark delay', hidden: true, title: 'From the camera to the screen, as far as both clocks agree' });
  const mode = h('span', { class: 'mode muted small end' });
  const overlay = new Overlay();
  const marks = h('span', { class: 'row-tight' });
  let delayShown = 0;
  const view = new CameraView(camera, {
    width: 1280, fps: 12, overlay: true,
    onOverlay: (o) => overlay.draw(o),
    onDelay: (ms) => {
      delay.hidden = ms === null;
      // Smoothed, and not more often than one can read.
      if (ms === null) return;
      view.delay = view.delay === undefined ? ms : view.delay * 0.8 + ms * 0.2;
      if (Date.now() - delayShown < 500) return;
      delayShown = Date.now();
      delay.textContent = `${(view.delay / 1000).toFixed(1)} s behind`;
    },
    onMode: (what, why) => { mode.textContent = what === 'video' ? 'Video as the camera sends it' : `Pictures${why ? `: ${why}` : ''}`; },
    onSize: (w, hgt) => shape(w, hgt),
  });
  const shape = (w, hgt) => {
    if (!w || !hgt) return;
    view.root.style.aspectRatio = `${w} / ${hgt}`;
    view.root.style.setProperty('--ratio', String(w / hgt));
  };
  shape(camera.width, camera.height);

  const zones = zonePanel(name, writable, (next) => { camera = { ...camera, ...next }; view.update(camera); });
  zones.set(camera.settings);
  view.root.append(zones.editor.root, overlay.root, delay);

  const stage = h('div', { class: 'stage' }, view.root);
  const setOverlay = (on) => {
    overlay.toggle(on);
    overlayButton.setAttribute('aria-pressed', String(on));
    setPref('overlay', on ? '1' : '0');
  };
  const overlayButton = button('Marks', { icon: 'overlay', on: () => setOverlay(!overlay.on), title: 'What moves and what is followed' });
  let zonesShown = false;
  const zoneButton = button('Zones', { icon: 'zone', 'aria-pressed': 'false', on: () => showZones(!zonesShown) });
  const showZones = (on) => {
    zonesShown = on;
    zones.editor.root.hidden = !on;
    zoneButton.setAttribute('aria-pressed', String(on));
  };
  setOverlay(pref('overlay', '1') === '1');
  const bar = h('div', { class: 'bar' }, overlayButton, zoneButton,
    linkButton('', address(['cameras', name, 'snapshot']), { icon: 'shot', label: 'Save the picture', download: `${name}.jpg` }),
    document.fullscreenEnabled && button('', { icon: 'full', label: 'Full screen', on: () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()) }),
    mode);
  stage.append(bar);

  const tabPlace = h('div');
  const panel = h('div', { class: 'card' });
  const title = h('h1', null, name);
  fill(host,
    h('div', { class: 'head' }, linkButton('', '#/live', { icon: 'up', label: 'Back to all cameras', class: 'plain turn-left' }), title, marks,
      writable && camera.from === 'store' && button('Remove', { icon: 'trash', class: 'danger', on: async () => { if (await removeCamera(camera)) go('#/live'); } })),
    h('div', { class: 'camera' }, stage, h('div', null, tabPlace, panel)));

  const show = () => view.show(!document.hidden && !recording);
  let tab = '';
  let tabEnd = new AbortController();
  let recording = null;
  const momentOf = (r) => ({ day: r.query.get('day') ?? '', at: Number(r.query.get('at')) || null });
  function showTab(r) {
    const wanted = r.query.get('tab') ?? (can('events:read') ? 'events' : 'about');
    if (wanted === tab) {
      recording?.open(momentOf(r));
      return;
    }
    tab = wanted;
    tabEnd.abort();
    tabEnd = new AbortController();
    const names = [['events', 'Events'], ['recordings', 'Recorded'], ['zones', 'Zones'], ['settings', 'Settings'], ['about', 'State']].filter(([key]) => !['events', 'recordings'].includes(key) || can('events:read'));
    fill(tabPlace, tabs(names.map(([key, text]) => ({ name: text, href: link(['camera', name], { tab: key }), current: key === tab })), 'About this camera'));
    zones.editor.edit(tab === 'zones' && writable);
    showZones(tab === 'zones');
    panel.classList.toggle('card', tab !== 'events');
    recording?.root.remove();
    recording = tab === 'recordings' ? recordingPlayer(name, momentOf(r), (day) => go(link(['camera', name], { tab, day })), tabEnd.signal) : null;
    // What was takes the place of what is.
    view.root.hidden = bar.hidden = recording !== null;
    show();
    if (recording) {
      stage.append(recording.root);
      fill(panel, recording.side);
    } else if (tab === 'zones') fill(panel, zones.root);
    else if (tab === 'settings') {
      fill(panel, cameraSettings(camera, writable, (next) => {
        camera = { ...camera, ...next };
        view.update(camera);
        zones.set(camera.settings);
      }));
    } else if (tab === 'about') fill(panel, cameraFacts(camera));
    else fill(panel, recentEvents(name, tabEnd.signal));
  }

  watchCameras(signal);
  cameras.follow((list) => {
    const next = list?.find((c) => c.name === name);
    if (!next) return;
    camera = { ...next, settings: camera.settings };
    view.update(camera);
    fill(marks, stateMarks(camera));
    shape(camera.width, camera.height);
    if (tab === 'about') fill(panel, cameraFacts(camera));
  }, signal);

  document.addEventListener('visibilitychange', show, { signal });
  window.addEventListener('beforeunload', (e) => { if (zones.dirty()) e.preventDefault(); }, { signal });
  signal.addEventListener('abort', () => {
    if (zones.dirty()) toast('Changes of the zones were not saved', { bad: true });
    tabEnd.abort();
    overlay.destroy();
    view.destroy();
  });
  showTab(route);
  return showTab;
}
