// The connect window's first question: one of the accounts that exist already, or another one?

import { api } from './api.js';
import { el, fill, icon, logo, button, problemNotice } from './dom.js';
import { reasonWords, stateWords } from './words.js';

/**
 * `connections`: this owner's accounts of the app. `onPicked(completion, connection)`, `onNew()`,
 * `onSignIn(connection)`: one that is broken or signed out is signed in again.
 */
export function accountPicker({ app, connections, onPicked, onNew, onSignIn }) {
  const trouble = el('div', { role: 'status' });
  let busy = false;

  async function pick(connection) {
    if (busy) return;
    busy = true;
    fill(trouble);
    try {
      onPicked(await api.pick(connection.id), connection);
    } catch (error) {
      if (error.status !== 401) fill(trouble, problemNotice(error));
    } finally {
      busy = false;
    }
  }

  function line(connection) {
    const words = stateWords(connection);
    const usable = connection.enabled && (connection.state === 'connected' || connection.state === 'failing');
    const mendable = connection.state === 'needs_reconnect' || connection.state === 'disconnected';
    const note = usable ? connection.account?.label : reasonWords(connection);
    return el('li', {}, el('button', {
      class: 'account', type: 'button', testid: `pick-${connection.id}`, disabled: !usable && !mendable,
      on: { click: () => (usable ? pick(connection) : onSignIn(connection)) },
    },
    logo(connection.app, connection.app_name),
    el('span', { class: 'about' }, el('b', {}, connection.title), note && note !== connection.title && el('span', { class: 'muted small' }, note)),
    el('span', { class: `state ${words.tone}` }, icon(words.sign), words.label)));
  }

  return el('div', { class: 'stack', testid: 'account-picker' },
    el('h2', {}, `Which ${app.name} account?`),
    el('ul', { class: 'accounts' }, connections.map(line)),
    trouble,
    el('div', {}, button('Connect another account', { sign: 'plus', testid: 'connect-new', onClick: onNew })));
}
