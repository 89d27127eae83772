// Requests to /api/v1: one place for CSRF, errors, lost sessions and lost connections.

/** What the server said about a request that failed. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where the server could not be reached
   * @param {string} detail
   * @param {{hint?: string, retryAfter?: number, totpRequired?: boolean}} [more] retryAfter in seconds
   */
  constructor(status, detail, more = {}) {
    super(detail);
    this.status = status;
    this.hint = more.hint;
    this.retryAfter = more.retryAfter;
    this.totpRequired = more.totpRequired ?? false;
  }
}

/** Tells `unauthenticated`, `unreachable` and `reached`. */
export const wire = new EventTarget();

let csrf = '';
/** @param {string} token of the session; sent with whatever changes something */
export const setCsrf = (token) => { csrf = token ?? ''; };

/**
 * An address of the API.
 * @param {string[]|string} path parts, which are encoded; or a text that is taken as it is
 * @param {Record<string, any>} [query] empty values are left out, lists repeated
 * @returns {string}
 */
export function address(path, query) {
  const base = `/api/v1/${Array.isArray(path) ? path.map(encodeURIComponent).join('/') : path}`;
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v !== undefined && v !== null && v !== '') params.append(key, v instanceof Date ? v.toISOString() : String(v));
    }
  }
  const text = params.toString();
  return text ? `${base}?${text}` : base;
}

/**
 * The words of an error's `detail`, which is a text or the list of a 422.
 * @param {any} detail
 * @returns {string}
 */
export function detailText(detail) {
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) {
    return detail.map((d) => {
      const where = (d.loc ?? []).filter((part) => part !== 'body' && part !== 'query').join('.');
      return where ? `${where}: ${d.msg}` : d.msg;
    }).join('; ');
  }
  return '';
}

function retrySeconds(response) {
  const text = response.headers.get('Retry-After');
  if (!text) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds;
  const until = Date.parse(text);
  return Number.isNaN(until) ? undefined : Math.max(0, Math.ceil((until - Date.now()) / 1000));
}

async function failure(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy in between answers in its own way.
  }
  const detail = detailText(body.detail) || `The server answered ${response.status} ${response.statusText}`.trim();
  return new ApiError(response.status, detail, {
    hint: body.hint,
    retryAfter: retrySeconds(response),
    totpRequired: body.totp_required === true,
  });
}

/**
 * @param {string} method
 * @param {string[]|string} path
 * @param {{query?: Record<string, any>, body?: any, file?: Blob, signal?: AbortSignal, anonymous?: boolean}} [options]
 *   `anonymous`: a 401 is an answer and does not lead to the login
 * @returns {Promise<any>} the JSON of the answer, null for none
 * @throws {ApiError}
 */
export async function call(method, path, options = {}) {
  const response = await send(method, path, options);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/**
 * A picture as it is now, past every cache.
 * @param {string[]} path
 * @param {Record<string, any>} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 * @throws {ApiError}
 */
export async function picture(path, query, signal) {
  const response = await send('GET', path, { query, signal, accept: 'image/*' });
  return response.blob();
}

async function send(method, path, options) {
  const headers = { Accept: options.accept ?? 'application/json' };
  let body;
  if (options.file) {
    body = options.file;
    headers['Content-Type'] = options.file.type || 'application/octet-stream';
  } else if (options.body !== undefined) {
    body = JSON.stringify(options.body);
    headers['Content-Type'] = 'application/json';
  }
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf;
  let response;
  try {
    response = await fetch(address(path, options.query), {
      method, headers, body, signal: options.signal, credentials: 'same-origin', cache: 'no-store',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    wire.dispatchEvent(new Event('unreachable'));
    throw new ApiError(0, 'The server cannot be reached', { hint: 'The page tries again by itself.' });
  }
  wire.dispatchEvent(new Event('reached'));
  if (!response.ok) {
    const error = await failure(response);
    if (error.status === 401 && !options.anonymous) wire.dispatchEvent(new Event('unauthenticated'));
    throw error;
  }
  return response;
}

/** @param {string[]|string} path @param {Record<string, any>} [query] @param {AbortSignal} [signal] */
export const get = (path, query, signal) => call('GET', path, { query, signal });
/** @param {string[]|string} path @param {any} [body] */
export const post = (path, body) => call('POST', path, { body });
/** @param {string[]|string} path @param {any} body */
export const put = (path, body) => call('PUT', path, { body });
/** @param {string[]|string} path @param {any} body */
export const patch = (path, body) => call('PATCH', path, { body });
/** @param {string[]|string} path @param {any} [body] */
export const del = (path, body) => call('DELETE', path, { body });

/**
 * Whether an error only says that the page was left.
 * @param {unknown} error
 */
export const aborted = (error) => error instanceof DOMException && error.name === 'AbortError';
