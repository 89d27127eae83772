// How things stand, for the strip at the top and for whoever else asks: fetched once for all.

import { get } from './api.js';
import { every, store } from './dom.js';
import { connection } from './connection.js';
import { can } from './session.js';

/** What `GET /system` said last, or null. */
export const system = store(/** @type {any} */ (null));
/** The cameras as last told, or null. */
export const cameras = store(/** @type {any[]|null} */ (null));

let wanted = 0;

/** @returns {Promise<any[]>} */
export async function refreshCameras() {
  const answer = await get('cameras');
  cameras.set(answer.cameras);
  return answer.cameras;
}

async function refreshSystem() {
  if (can('system:read')) system.set(await get('system'));
}

/**
 * Keeps both up to date until the signal.
 * @param {AbortSignal} signal
 */
export function followStatus(signal) {
  const quiet = async (fn) => {
    try {
      await fn();
    } catch {
      // The strip says by itself that the server is away, and the next round will tell.
    }
  };
  every(15000, () => quiet(refreshSystem), signal);
  if (can('cameras:read')) {
    // Faster while somebody looks at cameras.
    every(4000, () => (wanted > 0 || Date.now() - asked > 15000 ? quiet(async () => { asked = Date.now(); await refreshCameras(); }) : null), signal);
  }
  connection.addEventListener('restored', () => { quiet(refreshSystem); if (can('cameras:read')) quiet(refreshCameras); }, { signal });
  signal.addEventListener('abort', () => { system.set(null); cameras.set(null); });
}
let asked = 0;

/**
 * Asks for the cameras to be refreshed every few seconds until the signal.
 * @param {AbortSignal} signal
 */
export function watchCameras(signal) {
  wanted += 1;
  asked = 0;
  signal.addEventListener('abort', () => { wanted -= 1; });
}
