// Addresses of pages: `#/camera/yard?tab=zones`.

/**
 * @typedef {{path: string[], query: URLSearchParams}} Route
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parse(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const parts = path.split('/').filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { path: parts, query: new URLSearchParams(query) };
}

/**
 * @param {string[]} path
 * @param {URLSearchParams|Record<string, any>} [query] empty values are left out, lists repeated
 * @returns {string}
 */
export function link(path, query) {
  const params = query instanceof URLSearchParams ? query : new URLSearchParams();
  if (query && !(query instanceof URLSearchParams)) {
    for (const [key, value] of Object.entries(query)) {
      for (const v of Array.isArray(value) ? value : [value]) {
        if (v !== undefined && v !== null && v !== '') params.append(key, String(v));
      }
    }
  }
  const text = params.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

/** @returns {Route} */
export const here = () => parse(location.hash);

/**
 * @param {string} hash
 * @param {{replace?: boolean}} [how]
 */
export function go(hash, how) {
  if (how?.replace) {
    history.replaceState(history.state, '', hash);
    window.dispatchEvent(new HashChangeEvent('hashchange'));
  } else {
    location.hash = hash;
  }
}

/**
 * The address of an event, shown over the page that is open.
 * @param {string|null} id null closes it
 * @param {Route} [route]
 * @returns {string}
 */
export function eventLink(id, route = here()) {
  const query = new URLSearchParams(route.query);
  if (id) query.set('event', id);
  else query.delete('event');
  return link(route.path.length ? route.path : ['events'], query);
}
