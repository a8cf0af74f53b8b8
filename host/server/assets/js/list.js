// The list of connections: what needs attention first, what is signed out last. Rows are kept by id and moved, not remade.

import { api } from './api.js';
import { button, el, fill, problemNotice } from './dom.js';
import { connectionRow } from './row.js';
import { plural } from './words.js';

const ORDER = { needs_reconnect: 0, pending: 1, failing: 2, connected: 2, disconnected: 4 };
const rank = (connection) => (connection.enabled || connection.state === 'disconnected' ? ORDER[connection.state] ?? 2 : 3);

/** `onAdd()`, `onSignIn(connection)`, `onCount(connections)` after each change. */
export function connectionList({ onAdd, onSignIn, onCount }) {
  const rows = new Map();
  let connections = new Map();
  const list = el('ul', { class: 'connections', testid: 'connections', 'aria-labelledby': 'connections-title' });
  const trouble = el('div', {});
  const summary = el('span', { class: 'muted small', testid: 'summary' });
  const add = button('Add connection', { kind: 'primary', sign: 'plus', testid: 'add-connection', onClick: onAdd });
  const empty = el('div', { class: 'empty', testid: 'empty', hidden: true },
    el('h3', {}, 'Nothing connected yet'),
    el('p', { class: 'muted' }, 'Choose an app below and sign in to it. You can rename, pause or disconnect it here at any time.'));
  const node = el('section', { 'aria-labelledby': 'connections-title' },
    el('div', { class: 'section-head' },
      el('div', {}, el('h2', { id: 'connections-title' }, 'Your connections'), summary), add),
    trouble, empty, list);

  function show() {
    const sorted = [...connections.values()].sort((a, b) => rank(a) - rank(b) || b.created_at.localeCompare(a.created_at));
    for (const [id, row] of rows) {
      if (!connections.has(id)) {
        const held = row.node.contains(document.activeElement);
        row.node.remove();
        rows.delete(id);
        if (held) add.focus();
      }
    }
    sorted.forEach((connection, index) => {
      let row = rows.get(connection.id);
      if (row) row.update(connection);
      else {
        row = connectionRow(connection, { onChanged: (next) => changed(connection.id, next), onSignIn });
        rows.set(connection.id, row);
      }
      // Moving a node takes the focus from it: only what stands in the wrong place is moved, never what is in use.
      if (list.children[index] !== row.node && !row.node.contains(document.activeElement)) list.insertBefore(row.node, list.children[index] ?? null);
    });
    const attention = sorted.filter((one) => one.enabled && one.state === 'needs_reconnect').length;
    empty.hidden = sorted.length > 0;
    summary.textContent = sorted.length === 0 ? '' : `${plural(sorted.length, 'connection')}${attention ? ` · ${attention} need${attention === 1 ? 's' : ''} you to sign in again` : ''}`;
    onCount(sorted);
  }

  function changed(id, next) {
    if (next) connections.set(id, next);
    else connections.delete(id);
    show();
  }

  async function load() {
    try {
      const found = await api.connections();
      connections = new Map(found.map((one) => [one.id, one]));
      fill(trouble);
      show();
    } catch (error) {
      if (error.status === 401) return;
      fill(trouble, problemNotice(error), el('p', {}, button('Try again', { onClick: load })));
    }
  }

  async function refresh(id) {
    try {
      changed(id, await api.connection(id));
    } catch (error) {
      if (error.status === 404) changed(id, null);
    }
  }

  setInterval(() => { for (const row of rows.values()) row.tick(); }, 30000);
  return {
    node, load, refresh, changed,
    focus: (id) => {
      const row = rows.get(id);
      row?.node.scrollIntoView({ block: 'nearest' });
      row?.node.querySelector('button')?.focus();
    },
  };
}
