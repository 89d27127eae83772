// Live video: fragmented MP4 over WebSocket into Media Source Extensions.

import { edgeDecide, edgeStart, dueOverlay, shownDelay, standsStill } from './live-edge.js';
import { orderWatch } from './fragment.js';
import { backoff, online } from './connection.js';

/** More than this waiting to be shown and we are too slow: the connection is made anew. */
const MOST_WAITING = 12e6;
/** So long without a word from a camera, and the connection counts as dead. */
const SILENCE_MS = 15000;
/** So many failures, and the browser gets pictures in place of video. */
const MOST_FAILURES = 2;
/** So long with video coming in and nothing shown counts as a failure, too. */
const NOTHING_SHOWN_MS = 6000;
const MOST_OVERLAYS = 200;
const NO_LIVE = 4403;

/** @returns {{new (): MediaSource, isTypeSupported(type: string): boolean}|undefined} */
export const mediaSourceClass = () => window.ManagedMediaSource ?? window.MediaSource;

/**
 * @typedef {{
 *   onState: (state: 'connecting'|'playing'|'offline'|'ended', reason?: string) => void,
 *   onGiveUp: (why: string, lasting: boolean) => void,
 *   onPictures?: () => void,
 *   onOverlay?: (overlay: any|null) => void,
 *   onDelay?: (ms: number|null) => void,
 *   onPicture?: (blob: Blob) => void,
 *   onSize?: (width: number, height: number) => void,
 * }} LiveEvents
 */

/** One camera's live video in one `<video>`. */
export class LivePlayer {
  /**
   * @param {string} camera
   * @param {HTMLVideoElement} video muted and inline, or browsers will not start it
   * @param {LiveEvents} events
   * @param {{overlay?: boolean}} [options]
   */
  constructor(camera, video, events, options = {}) {
    this.camera = camera;
    this.video = video;
    this.events = events;
    this.overlay = options.overlay ?? false;
    this.failures = 0;
    this.attempt = 0;
    this.running = false;
    this.end = null;
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.end = new AbortController();
    const { signal } = this.end;
    this.video.addEventListener('waiting', () => { this.stalled = true; }, { signal });
    this.video.addEventListener('playing', () => {
      this.begun = null;
      this.failures = 0;
      this.events.onState('playing');
    }, { signal });
    this.video.addEventListener('error', () => this.fail(this.video.error?.message || 'the video could not be decoded'), { signal });
    this.#connect();
    this.timer = setInterval(() => this.#tick(), 100);
  }

  stop() {
    if (!this.running) return;
    this.running = false;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.end.abort();
    this.#close();
    this.#dropMedia();
  }

  #connect() {
    this.#close();
    this.queue = [];
    this.waiting = 0;
    this.draining = false;
    this.overlays = [];
    this.pictures = false;
    this.heard = performance.now();
    this.came = 0;
    this.stand = null;
    const url = new URL(`/api/v1/cameras/${encodeURIComponent(this.camera)}/live`, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (this.overlay) url.searchParams.set('overlay', '1');
    const socket = new WebSocket(url);
    this.socket = socket;
    this.spoken = false;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (message) => {
      this.heard = performance.now();
      this.spoken = true;
      this.attempt = 0;
      this.queue.push(message.data);
      if (typeof message.data !== 'string') {
        this.waiting += message.data.byteLength;
        this.came += 1;
      }
      if (this.waiting > MOST_WAITING) this.#again();
      else this.#drain(socket);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      if (event.code === NO_LIVE) this.#giveUp('this camera is shown as pictures', true);
      // While the server is away this is no failure of the live view.
      else this.#again(!this.spoken && online.get());
    };
    if (this.video.paused) this.events.onState('connecting');
  }

  #close() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    // Browsers complain about one that is closed before it was open.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  }

  /** Connects again after a while; a connection that never said anything counts as a failure. */
  #again(failed = false) {
    this.#close();
    if (failed) {
      this.failures += 1;
      if (this.failures >= MOST_FAILURES) {
        this.#giveUp('the live connection could not be made', false);
        return;
      }
    }
    clearTimeout(this.retry);
    this.retry = setTimeout(() => { if (this.running) this.#connect(); }, backoff(this.attempt));
    this.attempt += 1;
  }

  /** @param {string} why the browser could not show what came */
  fail(why) {
    if (!this.running) return;
    this.failures += 1;
    this.#dropMedia();
    if (this.failures >= MOST_FAILURES) this.#giveUp(why, true);
    else this.#again();
  }

  #giveUp(why, lasting) {
    this.stop();
    this.events.onGiveUp(why, lasting);
  }

  // One message after the other, each to its end: a fragment must not overtake the
  // initialisation segment that it needs.
  async #drain(socket) {
    if (this.draining) return;
    this.draining = true;
    while (this.socket === socket && this.queue.length > 0) {
      const data = this.queue.shift();
      try {
        if (typeof data === 'string') {
          await this.#text(JSON.parse(data));
        } else {
          this.waiting -= data.byteLength;
          await this.#binary(data);
        }
      } catch (error) {
        if (this.socket === socket) this.fail(error.message);
        return;
      }
    }
    if (this.socket === socket) this.draining = false;
  }

  async #text(message) {
    if (message.type === 'stream') {
      if (message.width && message.height) this.events.onSize?.(message.width, message.height);
      await this.#begin(message.mime);
    } else if (message.type === 'overlay') {
      this.overlays.push({ ...message, atMs: Date.parse(message.at) });
      if (this.overlays.length > MOST_OVERLAYS) this.overlays.shift();
    } else if (message.type === 'offline') {
      this.overlays.length = 0;
      this.events.onOverlay?.(null);
      this.events.onState('offline', message.reason);
    } else if (message.type === 'ended') {
      this.events.onState('ended');
    }
    // `dropped` needs no answer: what follows begins with a key frame, and the edge jumps to it.
  }

  async #begin(mime) {
    this.pictures = mime === 'image/jpeg';
    if (this.pictures) {
      this.#dropMedia();
      this.events.onPictures?.();
      return;
    }
    const Source = mediaSourceClass();
    if (!Source || !Source.isTypeSupported(mime)) {
      this.failures = MOST_FAILURES;
      throw new Error(`this browser does not play ${mime}`);
    }
    this.#dropMedia();
    const source = new Source();
    this.source = source;
    this.url = URL.createObjectURL(source);
    // Safari's managed source starts only where the picture cannot go to another screen.
    this.video.disableRemotePlayback = true;
    this.video.src = this.url;
    await new Promise((resolve, reject) => {
      source.addEventListener('sourceopen', resolve, { once: true });
      this.end.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
    });
    source.duration = Infinity;
    this.buffer = source.addSourceBuffer(mime);
    this.edge = edgeStart(performance.now());
    this.order = orderWatch();
    this.stalled = false;
    this.begun = performance.now();
    this.fragments = 0;
  }

  async #binary(data) {
    if (this.pictures) {
      this.events.onPicture?.(new Blob([data], { type: 'image/jpeg' }));
      this.events.onState('playing');
      return;
    }
    if (!this.buffer) return;
    this.fragments += 1;
    this.order.add(data);
    // What was shown may still be on its way out.
    await this.#updated();
    if (!this.buffer) return;
    try {
      this.buffer.appendBuffer(data);
    } catch (error) {
      if (error.name !== 'QuotaExceededError') throw error;
      await this.#remove(0, Math.max(0.1, this.video.currentTime - 1));
      this.buffer.appendBuffer(data);
    }
    await this.#updated();
    this.#steer();
  }

  #updated() {
    const buffer = this.buffer;
    if (!buffer?.updating) return Promise.resolve();
    return new Promise((resolve, reject) => {
      buffer.addEventListener('updateend', resolve, { once: true });
      buffer.addEventListener('error', () => reject(new Error('the video could not be decoded')), { once: true });
    });
  }

  async #remove(from, to) {
    this.buffer.remove(from, to);
    await this.#updated();
  }

  #steer() {
    if (!this.buffer || this.source?.readyState !== 'open' || this.buffer.updating) return;
    const { video } = this;
    const ranges = this.buffer.buffered;
    const buffered = Array.from({ length: ranges.length }, (_, i) => /** @type {[number, number]} */ ([ranges.start(i), ranges.end(i)]));
    const decision = edgeDecide(this.edge, { buffered, currentTime: video.currentTime, paused: video.paused, stalled: this.stalled, reordered: this.order.reordered, now: performance.now() });
    this.edge = decision.state;
    this.stalled = false;
    if (decision.seekTo !== null) video.currentTime = decision.seekTo;
    if (video.playbackRate !== decision.rate) video.playbackRate = decision.rate;
    if (buffered.length > 0 && video.paused) video.play().catch(() => { /* The next fragment tries again. */ });
    if (decision.trim) this.buffer.remove(...decision.trim);
  }

  #tick() {
    if (performance.now() - this.heard > SILENCE_MS && this.socket) {
      this.#again(false);
      return;
    }
    if (this.buffer && this.begun !== null && this.fragments > 5 && performance.now() - this.begun > NOTHING_SHOWN_MS) {
      this.fail('the video cannot be shown');
      return;
    }
    if (this.buffer && this.begun === null) {
      const { last, stands } = standsStill(this.stand, { time: this.video.currentTime, now: performance.now(), came: this.came });
      this.stand = last;
      if (stands) {
        this.fail('the video stands still');
        return;
      }
    }
    if (this.overlays.length === 0) return;
    const mediaMs = this.video.currentTime * 1000;
    // Where both do not count from the same moment, an overlay is shown when it comes.
    const aligned = !this.pictures && Math.abs(this.overlays.at(-1).pts_ms - mediaMs) < 10000;
    const due = aligned ? dueOverlay(this.overlays, mediaMs) : this.overlays.splice(0).at(-1);
    if (!due) return;
    this.events.onOverlay?.(due);
    this.events.onDelay?.(shownDelay({ at: due.atMs, ptsMs: due.pts_ms }, aligned ? mediaMs / 1000 : due.pts_ms / 1000, Date.now()));
  }

  #dropMedia() {
    const had = Boolean(this.url);
    this.buffer = null;
    this.source = null;
    if (!had) return;
    URL.revokeObjectURL(this.url);
    this.url = null;
    this.video.removeAttribute('src');
    this.video.load();
  }
}
