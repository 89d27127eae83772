// A camera's picture: a snapshot first, then live while it can be seen.

import { h } from '../dom.js';
import { icon } from '../icons.js';
import { ago } from '../format.js';
import { LivePlayer, mediaSourceClass } from '../live.js';
import { PicturePlayer, showSnapshot } from '../mjpeg.js';
import { connection } from '../connection.js';

const SNAPSHOT_AGE_MS = 60000;
/** After a trouble of the connection, video is tried again. */
const RETRY_LIVE_MS = 60000;

/**
 * @typedef {{width?: number, fps?: number, overlay?: boolean, onOverlay?: (o: any) => void, onDelay?: (ms: number|null) => void,
 *   onMode?: (mode: string, why?: string) => void, onSize?: (w: number, h: number) => void}} ViewOptions
 */

/** The picture of one camera. Its element is `root`; it plays while `show(true)`. */
export class CameraView {
  /**
   * @param {any} camera as the API tells it
   * @param {ViewOptions} [options]
   */
  constructor(camera, options = {}) {
    this.camera = camera;
    this.options = options;
    this.img = h('img', { alt: '', decoding: 'async', draggable: 'false' });
    this.video = h('video', { muted: true, playsinline: true, autoplay: true, disablepictureinpicture: true, tabindex: '-1', 'aria-hidden': 'true' });
    this.why = h('div', { class: 'why', hidden: true });
    this.root = h('div', { class: 'view' }, this.img, this.video, this.why);
    this.shown = false;
    this.player = null;
    this.fallback = false;
    this.message = null;
    this.pictureUrl = null;
    this.snapshotAt = 0;
    this.end = new AbortController();
    connection.addEventListener('restored', () => { if (!this.lasting) this.#tryLive(); }, { signal: this.end.signal });
    this.img.addEventListener('error', () => { this.img.style.visibility = 'hidden'; });
    this.img.addEventListener('load', () => { this.img.style.visibility = ''; });
    this.update(camera);
  }

  /** Whether the camera has pictures to show now. */
  get live() {
    return this.camera.state === 'live';
  }

  /** @param {any} camera its newest state */
  update(camera) {
    const before = this.camera;
    this.camera = camera;
    if (before.state !== camera.state) this.message = null;
    if (before.live !== camera.live) {
      this.fallback = false;
      this.lasting = false;
      this.#stop();
    }
    this.#drawWhy();
    if (this.shown && this.live && !this.player) this.#play();
    if (!this.live && this.player) this.#stop();
  }

  /** @param {boolean} shown whether it can be seen: only then it plays */
  show(shown) {
    if (this.shown === shown) return;
    this.shown = shown;
    if (!shown) {
      this.#stop();
      return;
    }
    // A camera that has not shown anything yet has no picture.
    if (this.camera.frames !== 0 && Date.now() - this.snapshotAt > SNAPSHOT_AGE_MS) this.snapshot();
    if (this.live) this.#play();
  }

  /** Loads the latest picture. */
  snapshot() {
    this.snapshotAt = Date.now();
    this.asking?.abort();
    this.asking = new AbortController();
    showSnapshot(this.img, this.camera.name, this.options.width, this.asking.signal).catch(() => {
      // There may be none yet; what state the camera is in is written over it.
    });
  }

  destroy() {
    this.shown = false;
    this.end.abort();
    this.asking?.abort();
    clearTimeout(this.retry);
    this.#stop();
    this.img.removeAttribute('src');
    this.#revoke();
  }

  #tryLive() {
    clearTimeout(this.retry);
    if (!this.fallback) return;
    this.fallback = false;
    this.#stop();
    if (this.shown && this.live) this.#play();
  }

  #play() {
    const pictures = this.fallback || this.camera.live === false || !mediaSourceClass();
    if (pictures) {
      this.options.onMode?.('pictures', this.fallbackWhy);
      // Or it would take the place of the stream when it comes.
      this.asking?.abort();
      this.player = new PicturePlayer(this.camera.name, this.img, {
        width: this.options.width ?? 1280, fps: this.options.fps ?? 10,
      });
    } else {
      this.options.onMode?.('video');
      this.player = new LivePlayer(this.camera.name, this.video, {
        onState: (state, reason) => {
          this.root.classList.toggle('playing', state === 'playing' && !this.player?.pictures);
          this.message = state === 'offline' || state === 'ended' ? { state, reason } : null;
          this.#drawWhy();
        },
        onGiveUp: (why, lasting) => {
          this.player = null;
          this.fallback = true;
          this.fallbackWhy = why;
          this.lasting = lasting;
          clearTimeout(this.retry);
          if (!lasting) this.retry = setTimeout(() => this.#tryLive(), RETRY_LIVE_MS);
          this.root.classList.remove('playing');
          if (this.shown && this.live) this.#play();
        },
        onPictures: () => this.options.onMode?.('pictures'),
        onPicture: (blob) => this.#picture(blob),
        onOverlay: this.options.onOverlay,
        onDelay: this.options.onDelay,
        onSize: this.options.onSize,
      }, { overlay: this.options.overlay });
    }
    this.player.start();
  }

  #stop() {
    const pictures = this.player instanceof PicturePlayer;
    this.player?.stop();
    this.player = null;
    // A stream leaves nothing behind when it stops.
    if (pictures && !this.end.signal.aborted) this.snapshot();
    this.root.classList.remove('playing');
    this.options.onOverlay?.(null);
    this.options.onDelay?.(null);
  }

  #picture(blob) {
    const url = URL.createObjectURL(blob);
    const before = this.pictureUrl;
    this.pictureUrl = url;
    this.img.src = url;
    if (before) URL.revokeObjectURL(before);
  }

  #revoke() {
    if (this.pictureUrl) URL.revokeObjectURL(this.pictureUrl);
    this.pictureUrl = null;
  }

  #drawWhy() {
    const { camera } = this;
    const state = this.message?.state ?? camera.state;
    const off = state !== 'live';
    this.root.classList.toggle('off', off);
    this.why.hidden = !off;
    if (!off) return;
    const text = { connecting: 'Connecting', offline: 'Offline', ended: 'Ended' }[state] ?? state;
    const reason = this.message?.reason ?? camera.reason;
    const key = `${text}|${reason}|${camera.since}|${Math.floor(Date.now() / 30000)}`;
    if (this.whyKey === key) return;
    this.whyKey = key;
    this.why.replaceChildren(
      icon(state === 'offline' ? 'cameraOff' : 'camera'),
      h('strong', null, text, camera.since && state !== 'ended' ? ` for ${ago(camera.since).replace(' ago', '')}` : ''),
      ...(reason ? [h('p', { class: 'small' }, reason)] : []));
  }
}

/**
 * What a camera is doing, as marks on its picture.
 * @param {any} camera
 * @returns {HTMLElement[]}
 */
export function stateMarks(camera) {
  const marks = [];
  const mark = (cls, text, pulse = false) => marks.push(h('span', { class: `mark ${cls} ${pulse ? 'pulse' : ''}` }, text));
  if (camera.state === 'live') {
    if (camera.moving) mark('motion', 'Motion');
    if (camera.recording) mark('rec', 'Rec', true);
    if (!camera.moving && !camera.recording) mark('live', 'Live');
  } else {
    mark('off', { connecting: 'Connecting', offline: 'Offline', ended: 'Ended' }[camera.state] ?? camera.state);
  }
  return marks;
}
