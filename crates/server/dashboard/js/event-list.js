// The events that a page holds: pages by cursor below, new ones on top, never too many.

/** Events that came while the page was open; with more of them the list is loaded anew. */
export const MOST_NEW = 300;
/** Pages that are held at once: the oldest are let go while new events come in on top. */
export const MOST_PAGES = 20;

/**
 * Whether a list with these filters shows an event.
 * @param {any} event
 * @param {{camera: string[], kind: string[], q: string, since: number|null, until: number|null}} filters times in milliseconds
 */
export function matches(event, filters) {
  if (filters.camera.length && !filters.camera.includes(event.camera)) return false;
  if (filters.kind.length && !filters.kind.includes(event.kind)) return false;
  if (filters.q && !(event.label ?? '').toLowerCase().startsWith(filters.q.toLowerCase())) return false;
  const at = Date.parse(event.started_at);
  if (filters.since !== null && at < filters.since) return false;
  return filters.until === null || at < filters.until;
}

/** Newest first, each event once, in its newest state. */
export class EventList {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {any[]} */
    this.fresh = [];
    /** @type {{events: any[], next: string|null}[]} */
    this.pages = [];
  }

  /** The cursor for the next page; null at the end, undefined before the first. */
  get next() {
    return this.pages.length ? this.pages[this.pages.length - 1].next : undefined;
  }

  /** @param {{events: any[], next: string|null}} page */
  addPage(page) {
    const known = new Set(this.fresh.map((e) => e.id));
    for (const p of this.pages) for (const e of p.events) known.add(e.id);
    this.pages.push({ events: page.events.filter((e) => !known.has(e.id)), next: page.next });
  }

  /**
   * @param {any} event that was told
   * @returns {'new'|'changed'} whether it is a new row
   */
  tell(event) {
    for (const list of [this.fresh, ...this.pages.map((p) => p.events)]) {
      const i = list.findIndex((e) => e.id === event.id);
      if (i >= 0) {
        // Replays may bring an older state again.
        if (event.number >= list[i].number) list[i] = event;
        return 'changed';
      }
    }
    // They are loaded anew then; until that, what has come is enough.
    if (this.overflown) return 'new';
    const i = this.fresh.findIndex((e) => e.started_at <= event.started_at);
    this.fresh.splice(i < 0 ? this.fresh.length : i, 0, event);
    return 'new';
  }

  /** Lets go of the oldest pages; they can be loaded again, for the cursor before them stays. */
  trim(most = MOST_PAGES) {
    while (this.pages.length > most) this.pages.pop();
  }

  /** @param {string} id */
  has(id) {
    return this.all().some((e) => e.id === id);
  }

  get overflown() {
    return this.fresh.length > MOST_NEW;
  }

  /** @param {string} id */
  remove(id) {
    this.fresh = this.fresh.filter((e) => e.id !== id);
    for (const p of this.pages) p.events = p.events.filter((e) => e.id !== id);
  }

  /** @returns {any[]} */
  all() {
    return [...this.fresh, ...this.pages.flatMap((p) => p.events)];
  }
}
