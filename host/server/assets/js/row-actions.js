// What asks first: disconnect, delete, and new values for the details of a connection.

import { api } from './api.js';
import { announce, button, el, fill, logo, notice, problemNotice } from './dom.js';
import { confirmDialog, openDialog } from './dialog.js';
import { fieldSet } from './fields.js';
import { pendingReport, testReport } from './test-report.js';
import { sentence } from './words.js';

const REVOKED = {
  yes: ['ok', (app) => `${app} confirmed that the access is withdrawn.`],
  not_supported: ['idle', (app) => `${app} has no way to withdraw the access from here. What was stored is destroyed; to be thorough, remove the key or the access in ${app} itself.`],
  no: ['warn', (app) => `${app} could not be told. What was stored is destroyed all the same; remove the access in ${app} itself.`],
};

/** Signs out and says whether the app took the access back. */
export function askDisconnect(connection, onChanged) {
  const dialog = confirmDialog({
    title: `Disconnect “${connection.title}”?`,
    text: [
      `Everything that uses it stops working. ${connection.app_name} is asked to withdraw the access, and what is stored here is destroyed.`,
      'The name stays in the list, so that you can connect it again later.',
    ],
    action: 'Disconnect',
    testid: 'disconnect-dialog',
    async act() {
      const result = await api.disconnect(connection.id);
      onChanged(result.connection);
      const [tone, words] = REVOKED[result.revoked] ?? REVOKED.no;
      const say = result.say ? sentence(result.say) : words(connection.app_name);
      dialog.title(`“${connection.title}” is disconnected`);
      announce(`Disconnected. ${say}`);
      return notice(tone, el('p', { testid: 'revoked', 'data-revoked': result.revoked }, say));
    },
  });
}

/** Removes the row of a connection that is signed out. */
export function askDelete(connection, onChanged) {
  confirmDialog({
    title: `Delete “${connection.title}”?`,
    text: ['It disappears from the list. What refers to it can no longer be connected again.'],
    action: 'Delete',
    testid: 'delete-dialog',
    async act() {
      await api.remove(connection.id);
      announce(`${connection.title} is deleted.`);
      onChanged(null);
    },
  });
}

/** New values for the fields; they replace the old ones only when the test passes with them. */
export async function updateDetails(connection, onChanged) {
  const body = el('div', { class: 'stack' }, el('p', { class: 'muted' }, 'Loading…'));
  let fields = null;
  let saved = false;
  const dialog = openDialog({
    title: `Update “${connection.title}”`,
    sign: logo(connection.app, connection.app_name),
    body,
    dirty: () => !saved && Boolean(fields?.dirty()),
    testid: 'update-dialog',
  });
  try {
    const app = await api.app(connection.app);
    const method = app.methods.find((one) => one.id === connection.method);
    fields = fieldSet([...app.fields, ...(method?.fields ?? [])], { update: true });
  } catch (error) {
    fill(body, problemNotice(error));
    return;
  }

  const outcome = el('div', { role: 'status' });
  const submit = button('Test and save', { kind: 'primary', type: 'submit', testid: 'submit' });
  const form = el('form', { class: 'stack', novalidate: true, on: { submit: save } },
    el('p', { class: 'muted' }, 'The new values are tested first. Only if they work do they replace the old ones.'),
    fields.node, outcome,
    el('div', { class: 'buttons end' }, button('Cancel', { testid: 'cancel', onClick: dialog.close }), submit));
  fill(body, form);
  fields.focusFirst();

  async function save(event) {
    event.preventDefault();
    const values = fields.values();
    if (Object.keys(values).length === 0) { fill(outcome, notice('idle', el('p', {}, 'Type a new value first.'))); fields.focusFirst(); return; }
    submit.disabled = true;
    fill(outcome, pendingReport());
    try {
      const result = await api.details(connection.id, values);
      onChanged(result.connection);
      if (!result.ok) {
        fill(outcome, testReport(result, null), notice('idle', el('p', { testid: 'kept-old' }, 'Nothing was changed: the old values are still in use.')));
        submit.scrollIntoView({ block: 'nearest' });
        return;
      }
      saved = true;
      const done = button('Done', { kind: 'primary', testid: 'done', onClick: dialog.close });
      fill(body, notice('ok', el('p', {}, 'The new values work and are saved.')), testReport(result, null), el('div', { class: 'buttons end' }, done));
      done.focus();
    } catch (error) {
      fill(outcome);
      const stray = fields.showErrors(error.fields ?? {});
      if (!Object.keys(error.fields ?? {}).length || stray.length) fill(outcome, problemNotice(error));
    } finally {
      submit.disabled = false;
    }
  }
}
