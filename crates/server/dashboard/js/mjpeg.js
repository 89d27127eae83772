// Pictures in place of video, where a browser or a camera does not allow better.

import { address } from './api.js';

/**
 * Browsers open about six connections to a server of HTTP/1.1, and each MJPEG stream holds one
 * for good: more of them would block everything else.
 */
const MOST_STREAMS = 2;
const RETRY_MS = 4000;
const SNAPSHOT_MS = 2000;

let streams = 0;

/** One camera's pictures in one `<img>`: a stream while there is room, single pictures otherwise. */
export class PicturePlayer {
  /**
   * @param {string} camera
   * @param {HTMLImageElement} img
   * @param {{width: number, fps: number, onState: (state: 'playing'|'connecting') => void, single?: boolean}} options
   *   `single`: never a stream
   */
  constructor(camera, img, options) {
    this.camera = camera;
    this.img = img;
    this.options = options;
    this.running = false;
    this.streaming = false;
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.end = new AbortController();
    const { signal } = this.end;
    this.img.addEventListener('load', () => {
      this.options.onState('playing');
      if (!this.streaming) this.#later(SNAPSHOT_MS);
    }, { signal });
    this.img.addEventListener('error', () => {
      this.options.onState('connecting');
      this.#later(RETRY_MS);
    }, { signal });
    this.#load();
  }

  stop() {
    if (!this.running) return;
    this.running = false;
    clearTimeout(this.timer);
    this.end.abort();
    // A stream ends only when its address is taken away; the last picture stays as a snapshot.
    if (this.streaming) {
      streams -= 1;
      this.streaming = false;
      this.img.src = this.#snapshot();
    }
  }

  #snapshot() {
    return address(['cameras', this.camera, 'snapshot'], { width: this.options.width, t: Date.now() });
  }

  #later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(), ms);
  }

  #load() {
    if (!this.running) return;
    if (!this.streaming && !this.options.single && streams < MOST_STREAMS) {
      streams += 1;
      this.streaming = true;
    }
    this.img.src = this.streaming
      ? address(['cameras', this.camera, 'mjpeg'], { width: this.options.width, fps: this.options.fps, t: Date.now() })
      : this.#snapshot();
  }
}
