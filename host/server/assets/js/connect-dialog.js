// Adding a connection, or signing in again, in a dialog of the Apps page.

import { api } from './api.js';
import { announce, button, el, fill, icon, logo, problemNotice } from './dom.js';
import { connectPanel } from './connect-panel.js';
import { openDialog } from './dialog.js';

/**
 * `appId`, `name`: which app. `connection`: the one to sign in again, or null. `flow`: one that was begun before this page
 * was loaded. `onConnected(connectionId)` runs as soon as the server says so; `onDone(connectionId)` when the
 * dialog is gone after that; `onAnother()` to add one more.
 */
export async function connectDialog({ appId, name, connection = null, flow = null, onConnected, onDone = () => {}, onAnother = null }) {
  const body = el('div', { class: 'stack' }, el('p', { class: 'muted' }, 'Loading…'));
  let panel = null;
  let finished = null;
  const dialog = openDialog({
    title: connection ? `Sign in to ${name} again` : `Connect ${name}`,
    sign: logo(appId, name),
    body,
    dirty: () => Boolean(panel?.dirty()),
    onClose: () => { panel?.leave(); if (finished) onDone(finished); },
    testid: 'connect-dialog',
  });
  let app;
  try {
    app = await api.app(appId);
  } catch (error) {
    fill(body, problemNotice(error), el('div', { class: 'buttons end' }, button('Close', { onClick: dialog.close })));
    return;
  }
  panel = connectPanel({
    app,
    connection,
    onCancel: dialog.close,
    async onConnected(state) {
      const made = state.connection_id ? await api.connection(state.connection_id).catch(() => null) : null;
      finished = state.connection_id;
      onConnected(state.connection_id, made);
      const as = made?.account?.label;
      announce(`${app.name} is connected${as ? ` as ${as}` : ''}.`);
      return el('div', { class: 'stack' },
        el('div', { class: 'result', testid: 'connected' },
          el('span', { class: 'big ok', 'aria-hidden': 'true' }, icon('check')),
          el('h3', {}, connection ? 'Signed in again' : `${app.name} is connected`),
          el('p', {}, as ? ['Connected as ', el('b', { testid: 'connected-as' }, as)] : 'The test passed.')),
        el('div', { class: 'buttons end' },
          !connection && onAnother && button('Connect another account', { testid: 'another', onClick: () => { finished = null; dialog.close(); onAnother(); } }),
          button('Done', { kind: 'primary', testid: 'done', onClick: dialog.close })));
    },
  });
  fill(body, app.summary && !connection && el('p', { class: 'muted' }, app.summary), panel.node);
  if (flow) panel.resume(flow);
  else panel.focus();
}
