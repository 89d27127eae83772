// Plays a film of JPEG pictures, with as much of what a `<video>` has as a player needs.

import { h } from '../dom.js';
import { icon } from '../icons.js';
import { frameAt, jpegFilm } from '../jpeg-film.js';
import { duration } from '../format.js';

/** A larger one is only to be downloaded: all of it is held while it plays. */
const LARGEST = 300e6;

/** Tells `timeupdate`, `seeked`, `ended`, `ratechange` and `loadedmetadata`, as a video does. */
export class FilmView extends EventTarget {
  /**
   * @param {{frames: import('../jpeg-film.js').Frame[], duration: number}} film
   * @param {Blob} bytes the file
   * @param {string} label
   */
  constructor(film, bytes, label) {
    super();
    this.film = film;
    this.bytes = bytes;
    this.duration = film.duration;
    this.rate = 1;
    this.time = 0;
    this.paused = true;
    this.error = null;
    this.canvas = h('canvas', { role: 'img', 'aria-label': label });
    this.button = h('button', { type: 'button', class: 'button plain square', on: { click: () => (this.paused ? this.play() : this.pause()) } });
    this.range = h('input', { type: 'range', min: 0, max: film.duration, step: 'any', value: 0, 'aria-label': 'Place in the clip', on: { input: () => { this.currentTime = Number(this.range.value); } } });
    this.told = h('span', { class: 'small mono' });
    this.root = h('div', { class: 'film' }, this.canvas, h('div', { class: 'film-bar' }, this.button, this.range, this.told));
    this.#drawButton();
    this.#show();
  }

  get videoWidth() { return this.canvas.width; }
  get videoHeight() { return this.canvas.height; }
  get ended() { return this.time >= this.duration; }
  get currentTime() { return this.time; }
  set currentTime(at) {
    this.time = Math.min(this.duration, Math.max(0, at));
    this.#show();
    this.#tell('seeked');
  }

  get playbackRate() { return this.rate; }
  set playbackRate(rate) {
    this.rate = rate;
    this.#tell('ratechange');
  }

  getBoundingClientRect() { return this.canvas.getBoundingClientRect(); }

  async play() {
    if (this.ended) this.time = 0;
    this.paused = false;
    this.#drawButton();
    let before = performance.now();
    const step = (now) => {
      if (this.paused) return;
      this.time = Math.min(this.duration, this.time + ((now - before) / 1000) * this.rate);
      before = now;
      this.#show();
      if (this.ended) {
        this.pause();
        this.#tell('ended');
      } else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    this.paused = true;
    this.#drawButton();
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }

  #drawButton() {
    this.button.replaceChildren(icon(this.paused ? 'play' : 'pause'));
    this.button.setAttribute('aria-label', this.paused ? 'Play' : 'Pause');
  }

  // One picture at a time; while it is opened, others that are due are passed over.
  async #show() {
    this.range.value = String(this.time);
    this.told.textContent = `${this.time.toFixed(1)} / ${duration(this.duration * 1000)}`;
    this.#tell('timeupdate');
    const wanted = frameAt(this.film.frames, this.time);
    if (this.busy || wanted === this.shown) return;
    this.busy = true;
    this.shown = wanted;
    const { from, to } = this.film.frames[wanted];
    try {
      const picture = await createImageBitmap(this.bytes.slice(from, to, 'image/jpeg'));
      if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
        this.canvas.width = picture.width;
        this.canvas.height = picture.height;
        this.#tell('loadedmetadata');
      }
      this.canvas.getContext('2d').drawImage(picture, 0, 0);
      picture.close();
    } catch {
      // One that is damaged is passed over; the one before it stays.
    }
    this.busy = false;
    if (this.paused && frameAt(this.film.frames, this.time) !== this.shown) this.#show();
  }
}

/**
 * Loads what the browser's own player could not play.
 * @param {string} source
 * @param {string} label
 * @param {AbortSignal} signal
 * @returns {Promise<FilmView|null>} null where it is not a film of pictures
 */
export async function openFilm(source, label, signal) {
  const answer = await fetch(source, { signal, credentials: 'same-origin' });
  if (!answer.ok || Number(answer.headers.get('Content-Length')) > LARGEST) {
    await answer.body?.cancel();
    return null;
  }
  const bytes = await answer.blob();
  const film = jpegFilm(await bytes.arrayBuffer());
  return film && new FilmView(film, bytes, label);
}
