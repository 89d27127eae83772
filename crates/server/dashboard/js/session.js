// Who is logged in, and what they may do.

import { call, setCsrf } from './api.js';
import { store } from './dom.js';

/**
 * @typedef {{user: string, role: string, permissions: string[], cameras: string[]|null, totp: boolean,
 *   recovery_codes: number, csrf: string, kind: string, version: string}} Session
 */

/** The session, null for nobody. */
export const session = store(/** @type {Session|null} */ (null));

/**
 * @param {string} permission
 * @returns {boolean}
 */
export const can = (permission) => session.get()?.permissions.includes(permission) ?? false;

/** @param {Session|null} next */
export function setSession(next) {
  setCsrf(next?.csrf ?? '');
  session.set(next);
}

/**
 * Asks the server who this is.
 * @returns {Promise<Session|null>}
 */
export async function loadSession() {
  try {
    setSession(await call('GET', 'session', { anonymous: true }));
  } catch (error) {
    if (error.status !== 401) throw error;
    setSession(null);
  }
  return session.get();
}

/** Logs out, here even if the server has forgotten the session. */
export async function logout() {
  try {
    await call('DELETE', 'session', { anonymous: true });
  } finally {
    setSession(null);
  }
}
