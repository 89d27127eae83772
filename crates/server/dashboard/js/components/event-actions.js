// What can be done with an event: enrol its face, list its plate, export it, delete it.

import { h } from '../dom.js';
import { get, post, del, address } from '../api.js';
import { can } from '../session.js';
import { button, linkButton } from './ui.js';
import { confirm, formDialog } from './dialog.js';
import { field, input, select, values } from './form.js';
import { toast } from './toast.js';
import * as format from '../format.js';

/**
 * Asks whose face it is and enrols it.
 * @param {any} event
 */
export async function enrolFromEvent(event) {
  let people = [];
  let ready = true;
  try {
    ({ people, ready } = await get('faces'));
  } catch {
    // Suggestions are all that is missed; enrolling tells what is wrong.
  }
  const result = await formDialog('Enrol this face', [
    event.snapshot && h('img', { src: address(['events', event.id, 'snapshot']), alt: 'The picture of the event' }),
    !ready && h('p', { class: 'warn' }, 'The models for faces are not there, so that this will fail.'),
    field('Who is it?', input('name', { required: true, list: 'people', value: event.kind === 'face_match' ? event.label ?? '' : '', autofocus: true }), { help: 'A new name, or somebody who is known already' }),
    h('datalist', { id: 'people' }, people.map((p) => h('option', { value: p.name }))),
  ], 'Enrol', (form) => post(['faces', values(form).name, 'events'], { event: event.id }));
  if (result) toast(`${result.name} has ${format.plural(result.photographs, 'photograph')} now`, { hint: result.warning });
}

async function listPlate(event) {
  const result = await formDialog('Put a plate on a list', [
    field('Plate', input('plate', { required: true, value: event.label ?? '', class: 'input mono', autocapitalize: 'characters', spellcheck: 'false' })),
    field('List', select('list', [['allow', 'Allow: it is welcome'], ['deny', 'Deny: it is not']], 'allow')),
    field('Description', input('description', { placeholder: 'whose it is' })),
  ], 'Add', async (form) => {
    const v = values(form);
    const body = { plate: v.plate };
    if (v.description) body.description = v.description;
    await post(['plates', v.list], body);
    return v;
  });
  if (result) toast(`${result.plate} is on the ${result.list} list`);
}

/**
 * Buttons for what this user may do with an event.
 * @param {any} event
 * @param {() => void} gone called when it was deleted
 * @returns {HTMLElement[]}
 */
export function eventActions(event, gone) {
  const actions = [];
  if ((event.kind === 'face_unknown' || event.kind === 'face_match') && can('faces:write')) {
    actions.push(button('Enrol this face', { icon: 'face', on: () => enrolFromEvent(event) }));
  }
  if (event.kind === 'plate_read' && can('plates:write')) {
    actions.push(button('Put on a list', { icon: 'plate', on: () => listPlate(event) }));
  }
  if (can('events:export')) {
    actions.push(linkButton('Export evidence', address(['events', event.id, 'bundle']), { icon: 'shield', download: true }));
  }
  if (can('events:purge')) {
    actions.push(button('Delete', { icon: 'trash', class: 'danger', on: async () => {
      const done = await confirm({
        title: 'Delete this event?',
        text: `${format.eventTitle(event)} of ${event.camera}, ${format.dateTime(event.started_at)}, goes with its picture and clip. This cannot be undone.`,
        action: 'Delete',
      }, () => del(['events', event.id]));
      if (done) {
        toast('The event was deleted');
        gone();
      }
    } }));
  }
  return actions;
}
