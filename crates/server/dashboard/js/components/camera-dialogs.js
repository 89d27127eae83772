// Adding and removing cameras.

import { h } from '../dom.js';
import { post, del } from '../api.js';
import { formDialog, confirm } from './dialog.js';
import { field, input, select, values } from './form.js';
import { toast } from './toast.js';
import { refreshCameras } from '../status.js';

/** @returns {Promise<any>} the camera, undefined if it was not added */
export async function addCamera() {
  const camera = await formDialog('Add a camera', [
    field('Name', input('name', { required: true, pattern: '[A-Za-z0-9_\\-][A-Za-z0-9._\\-]{0,63}', maxlength: 64, placeholder: 'front-door', autocapitalize: 'off', spellcheck: 'false' }), { help: 'Letters, digits, hyphen, underscore and dot' }),
    field('Address', input('url', { required: true, placeholder: 'rtsp://192.168.1.20/stream1', inputmode: 'url', autocapitalize: 'off', spellcheck: 'false' }),
      { help: 'rtsp://, rtsps://, http:// or https://; test: makes a test picture' }),
    h('div', { class: 'form-grid' },
      field('User', input('user', { autocapitalize: 'off', spellcheck: 'false' })),
      field('Password', input('password', { type: 'password', autocomplete: 'new-password' }))),
    field('Record', select('record', [['events', 'A clip for each event'], ['continuous', 'Everything'], ['off', 'Nothing']], 'events')),
  ], 'Add', (form) => {
    const v = values(form);
    const body = { name: v.name, url: v.url, record: v.record };
    if (v.user) body.user = v.user;
    if (v.password) body.password = form.elements.password.value;
    return post('cameras', body);
  });
  if (camera) {
    toast(`${camera.name} was added`);
    await refreshCameras().catch(() => {});
  }
  return camera;
}

/** @param {any} camera @returns {Promise<boolean>} */
export async function removeCamera(camera) {
  const done = await confirm({
    title: `Remove ${camera.name}?`,
    text: 'It is no longer watched. Its events and clips stay.',
    action: 'Remove',
  }, () => del(['cameras', camera.name]));
  if (done) {
    toast(`${camera.name} was removed`);
    await refreshCameras().catch(() => {});
  }
  return done;
}
