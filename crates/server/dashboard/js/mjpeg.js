// Pictures in place of video, where a browser or a camera does not allow better.

import { address, aborted, picture } from './api.js';

/**
 * Browsers open about six connections to a server of HTTP/1.1, and each MJPEG stream holds one
 * for good: more of them would block everything else.
 */
const MOST_STREAMS = 2;
const RETRY_MS = 4000;
const SNAPSHOT_MS = 2000;

let streams = 0;

/**
 * Shows a picture as it is now. By a request of its own, for an `<img>` takes the same address
 * from memory, and tells nothing about errors.
 * @param {HTMLImageElement} img
 * @param {string} camera
 * @param {number|undefined} width in pixels, at most
 * @param {AbortSignal} signal
 */
export async function showSnapshot(img, camera, width, signal) {
  const blob = await picture(['cameras', camera, 'snapshot'], { width }, signal);
  const url = URL.createObjectURL(blob);
  img.src = url;
  try {
    await img.decode();
  } catch {
    // Another picture came in between, or this is none.
  }
  URL.revokeObjectURL(url);
}

/** One camera's pictures in one `<img>`: a stream while there is room, single pictures otherwise. */
export class PicturePlayer {
  /**
   * @param {string} camera
   * @param {HTMLImageElement} img
   * @param {{width: number, fps: number}} options
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
    this.img.addEventListener('error', () => {
      if (this.streaming) this.#later(RETRY_MS);
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
      this.img.removeAttribute('src');
    }
  }

  #later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(), ms);
  }

  #load() {
    if (!this.running) return;
    if (!this.streaming && streams < MOST_STREAMS) {
      streams += 1;
      this.streaming = true;
    }
    if (this.streaming) {
      this.img.removeAttribute('src');
      this.img.src = address(['cameras', this.camera, 'mjpeg'], { width: this.options.width, fps: this.options.fps });
    } else {
      showSnapshot(this.img, this.camera, this.options.width, this.end.signal)
        .then(() => this.#later(SNAPSHOT_MS), (error) => { if (!aborted(error)) this.#later(RETRY_MS); });
    }
  }
}
