// Things that are shown once: with a button that copies them.

import { h } from '../dom.js';
import { button } from './ui.js';
import { toast } from './toast.js';

/** @param {string} text */
export function secretBox(text) {
  return h('div', { class: 'secret' }, h('code', null, text), button('Copy', { icon: 'copy', class: 'tiny', on: async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast('Copied');
    } catch {
      // Without TLS browsers keep the clipboard to themselves.
      toast('The browser does not allow copying here', { bad: true, hint: 'Select the text and copy it by hand.' });
    }
  } }));
}

/** @param {string} name of the file @param {string} text */
export function saveText(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const a = h('a', { href: url, download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
