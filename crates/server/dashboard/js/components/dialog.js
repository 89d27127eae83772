// Dialogs: the browser's own, which keep the focus inside and close by Escape.

import { h } from '../dom.js';
import { button, failed } from './ui.js';

/**
 * Opens a dialog and takes it out of the page when it closes.
 * @param {string} title
 * @param {any} body
 * @param {{class?: string, actions?: any, onClose?: () => void, label?: string}} [options] actions stand beside the title
 * @returns {HTMLDialogElement & {body: HTMLElement, heading: HTMLElement}}
 */
export function openDialog(title, body, options = {}) {
  const heading = h('h2', null, title);
  const content = h('div', { class: 'dialog-body' }, body);
  const dialog = h('dialog', { class: options.class, 'aria-label': options.label ?? (typeof title === 'string' ? title : undefined) },
    h('div', { class: 'dialog-head' }, heading, options.actions, button('', { icon: 'close', label: 'Close', class: 'plain', on: () => dialog.close() })),
    content);
  dialog.addEventListener('close', () => {
    // Toasts may have moved in; they outlive the dialog.
    const toasts = dialog.querySelector('#toasts');
    if (toasts) document.body.append(toasts);
    dialog.remove();
    options.onClose?.();
  });
  // A press that begins and ends on the backdrop closes; one that began on a text does not.
  let pressed = false;
  dialog.addEventListener('pointerdown', (event) => { pressed = event.target === dialog; });
  dialog.addEventListener('click', (event) => { if (pressed && event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return Object.assign(dialog, { body: content, heading });
}

/**
 * Asks before something that cannot be undone.
 * @param {{title: string, text: any, action: string, danger?: boolean}} what
 * @param {() => Promise<any>} act its error is shown in the dialog, which stays open
 * @returns {Promise<boolean>} whether it was done
 */
export function confirm(what, act) {
  return new Promise((resolve) => {
    let done = false;
    const problem = h('div');
    const yes = button(what.action, { class: what.danger === false ? 'primary' : 'danger', on: async () => {
      yes.disabled = true;
      try {
        await act();
        done = true;
        dialog.close();
      } catch (error) {
        problem.replaceChildren(failed(error));
        yes.disabled = false;
      }
    } });
    const dialog = openDialog(what.title, [h('div', null, what.text), problem,
      h('div', { class: 'actions' }, button('Cancel', { on: () => dialog.close(), autofocus: true }), yes)], { onClose: () => resolve(done) });
  });
}

/**
 * A dialog with a form.
 * @param {string} title
 * @param {any} fields
 * @param {string} action
 * @param {(form: HTMLFormElement) => Promise<any>} send its error is shown in the dialog
 * @returns {Promise<any>} what `send` gave; undefined when it was closed
 */
export function formDialog(title, fields, action, send) {
  return new Promise((resolve) => {
    let result;
    const problem = h('div');
    const submit = button(action, { class: 'primary', type: 'submit' });
    const form = h('form', { class: 'form', on: { submit: async (event) => {
      event.preventDefault();
      submit.disabled = true;
      problem.replaceChildren();
      try {
        result = (await send(form)) ?? true;
        dialog.close();
      } catch (error) {
        problem.replaceChildren(failed(error));
      } finally {
        submit.disabled = false;
      }
    } } }, fields, problem, h('div', { class: 'actions' }, button('Cancel', { on: () => dialog.close() }), submit));
    const dialog = openDialog(title, form, { onClose: () => resolve(result) });
    (form.querySelector('[autofocus]') ?? form.querySelector('input, select, textarea'))?.focus();
  });
}
