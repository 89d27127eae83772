// Building pages out of elements and text. Nothing here parses markup, so that a name from a
// camera, a plate or a backup stays text whatever is in it.

const SVG = 'http://www.w3.org/2000/svg';
const SAFE_ADDRESS = /^(#|\/|\.|blob:|data:image\/|[\w-]+\.(svg|webmanifest)$)/;

function setProp(el, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key === 'on') {
    for (const [type, fn] of Object.entries(value)) if (fn) el.addEventListener(type, fn);
  } else if (key === 'style') {
    for (const [name, v] of Object.entries(value)) el.style.setProperty(name, v);
  } else if (key === 'data') {
    for (const [name, v] of Object.entries(value)) el.dataset[name] = v;
  } else if (key === 'value' || key === 'checked' || key === 'selected' || key === 'muted') {
    el[key] = value;
  } else {
    if ((key === 'href' || key === 'src') && !SAFE_ADDRESS.test(value)) throw new Error(`not an address of this page: ${value}`);
    el.setAttribute(key, value === true ? '' : String(value));
  }
}

function append(el, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    el.append(child instanceof Node ? child : String(child));
  }
}

/**
 * An HTML element. `on`, `style` and `data` take objects; everything else is an attribute.
 * @param {string} tag
 * @param {Record<string, any>|null} [props]
 * @param {...any} children nodes, texts, lists of them; null and false are left out
 * @returns {HTMLElement & Record<string, any>}
 */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  append(el, children);
  // After the children: the value of a select needs its options.
  for (const [key, value] of Object.entries(props ?? {})) setProp(el, key, value);
  return el;
}

/**
 * An SVG element, as `h`.
 * @param {string} tag
 * @param {Record<string, any>|null} [props]
 * @param {...any} children
 * @returns {SVGElement & Record<string, any>}
 */
export function svg(tag, props, ...children) {
  const el = document.createElementNS(SVG, tag);
  append(el, children);
  for (const [key, value] of Object.entries(props ?? {})) setProp(el, key, value);
  return el;
}

/**
 * Replaces what is in an element.
 * @param {Element} el
 * @param {...any} children
 */
export function fill(el, ...children) {
  el.replaceChildren();
  append(el, children);
}

/**
 * Shows `keys` in this order in `host`, keeping the elements that are there already: pictures
 * are not loaded again and the focus stays where it is.
 * @template T
 * @param {Element} host
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => Element} make
 * @param {(el: Element, item: T) => void} [update]
 */
export function reconcile(host, items, keyOf, make, update) {
  const old = new Map([...host.children].map((el) => [el.dataset.key, el]));
  let at = host.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let el = old.get(key);
    if (el) {
      old.delete(key);
      update?.(el, item);
    } else {
      el = make(item);
      el.dataset.key = key;
    }
    if (el === at) at = at.nextElementSibling;
    else host.insertBefore(el, at);
  }
  for (const el of old.values()) el.remove();
}

/**
 * Calls `fn` when nothing was asked for `ms` milliseconds.
 * @param {number} ms
 * @param {(...args: any[]) => void} fn
 */
export function debounce(ms, fn) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

/**
 * Calls `fn` now and then again `ms` after it was done, until the signal; not while the page is
 * hidden, and at once when it is shown again.
 * @param {number} ms
 * @param {() => any} fn
 * @param {AbortSignal} signal
 */
export function every(ms, fn, signal) {
  let timer = 0;
  let busy = false;
  const run = async () => {
    clearTimeout(timer);
    if (signal.aborted || document.hidden || busy) return;
    busy = true;
    try {
      await fn();
    } finally {
      busy = false;
      if (!signal.aborted) timer = setTimeout(run, ms);
    }
  };
  document.addEventListener('visibilitychange', run, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
  run();
}

/**
 * A value that others can follow.
 * @template T
 * @param {T} value
 */
export function store(value) {
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const fn of [...followers]) fn(value);
    },
    /** @param {(value: T) => void} fn @param {AbortSignal} [signal] */
    follow(fn, signal) {
      followers.add(fn);
      signal?.addEventListener('abort', () => followers.delete(fn));
      fn(value);
    },
  };
}
