// One connection in the list. A row is made once and then brought up to date, so that a name that is being typed or a
// test report that is being read survives every change that the server tells of.

import { api } from './api.js';
import { announce, button, el, fill, icon, logo, problemNotice } from './dom.js';
import { askDelete, askDisconnect, updateDetails } from './row-actions.js';
import { pendingReport, testReport } from './test-report.js';
import { ago, endOfSignIn, reasonWords, stateWords } from './words.js';

/** `onChanged(connection | null)`: the row has news (null: it is gone). `onSignIn(connection)`: sign in again. */
export function connectionRow(first, { onChanged, onSignIn }) {
  let connection = first;
  let busy = false;
  let shownButtons = '';
  let reportFailed = false;
  const title = el('h3', { testid: 'title' });
  const titleLine = el('div', { class: 'title' });
  const account = el('p', { class: 'muted small', testid: 'account' });
  const times = el('p', { class: 'times' });
  const state = el('span', { class: 'state', testid: 'status' });
  const reason = el('p', { class: 'reason small', testid: 'reason' });
  const message = el('div', { class: 'row-message', role: 'status', hidden: true });
  const report = el('div', { 'aria-live': 'polite' });
  const actions = el('div', { class: 'actions' });
  const node = el('li', { class: 'connection', testid: `connection-${connection.id}` },
    el('div', { class: 'top' }, logo(connection.app, connection.app_name), el('div', { class: 'names' }, titleLine, account, times), state),
    reason, message, report, actions);

  function showTitle() {
    const rename = el('button', { class: 'button quiet icon-only', type: 'button', testid: 'rename', 'aria-label': `Rename “${connection.title}”`, on: { click: startRename } }, icon('pencil'));
    fill(titleLine, title, rename);
  }

  function update(next) {
    connection = next;
    // A report of what was wrong would contradict a state that has just become good.
    const mended = node.dataset.state !== 'connected' && connection.enabled && connection.state === 'connected';
    if (reportFailed && mended) hideReport();
    node.className = `connection${connection.enabled && connection.state !== 'disconnected' ? '' : ' off'}`;
    node.dataset.state = connection.enabled ? connection.state : 'paused';
    title.textContent = connection.title;
    titleLine.querySelector('[data-testid=rename]')?.setAttribute('aria-label', `Rename “${connection.title}”`);
    fill(account, connection.app_name, connection.account && [' · connected as ', el('b', {}, connection.account.label)]);
    if (connection.state === 'disconnected') hideReport();
    showTimes();
    const words = stateWords(connection);
    state.className = `state ${words.tone}`;
    fill(state, icon(words.sign), words.label);
    const why = reasonWords(connection);
    reason.hidden = !why;
    fill(reason, why);
    showActions();
  }

  function showTimes() {
    const time = (label, iso, never) => (iso
      ? el('span', {}, `${label} `, el('time', { datetime: iso, title: new Date(iso).toLocaleString() }, ago(iso)))
      : el('span', {}, never));
    const ends = connection.state === 'disconnected' ? null : endOfSignIn(connection.sign_in_ends_at);
    fill(times, time('Last used', connection.last_used_at, 'Not used yet'), time('Last tested', connection.last_tested_at, 'Not tested yet'),
      ends && el('span', { testid: 'ends' }, `${ends.label} `, el('time', { datetime: connection.sign_in_ends_at, title: new Date(connection.sign_in_ends_at).toLocaleString() }, ends.day)));
  }

  function showActions() {
    const paused = !connection.enabled;
    const gone = connection.state === 'disconnected';
    const broken = connection.state === 'needs_reconnect';
    const narrow = connection.enabled && connection.state === 'connected' && connection.missing_scopes?.length > 0;
    const redirects = ['oauth2', 'oauth1'].includes(connection.method_kind);
    const list = gone
      ? [['reactivate', 'Connect again', () => onSignIn(connection)], null, ['delete', 'Delete', () => askDelete(connection, onChanged)]]
      : [
        broken && ['reactivate', 'Sign in again', () => onSignIn(connection)],
        narrow && ['consent', 'Allow access again', () => onSignIn(connection)],
        paused && ['resume', 'Resume', resume],
        !paused && ['test', 'Test', test],
        redirects
          ? !broken && !narrow && ['update-details', 'Sign in again', () => onSignIn(connection)]
          : ['update-details', 'Update details', () => updateDetails(connection, onChanged)],
        !paused && ['pause', 'Pause', pause],
        null,
        ['disconnect', 'Disconnect', () => askDisconnect(connection, onChanged)],
      ].filter((entry) => entry !== false);
    // Rebuilding what is already there would take the focus away from it.
    const signature = JSON.stringify(list.map((entry) => entry && entry[0]));
    if (signature === shownButtons) return;
    shownButtons = signature;
    const focused = actions.contains(document.activeElement);
    fill(actions, list.map((entry) => (entry
      ? button(entry[1], { kind: ['reactivate', 'resume', 'consent'].includes(entry[0]) ? '' : 'quiet', testid: entry[0], onClick: entry[2], 'aria-label': `${entry[1]}: ${connection.title}` })
      : el('span', { class: 'spread' }))));
    if (focused) actions.querySelector('button')?.focus();
  }

  /** Runs one thing at a time on this row and shows what went wrong. */
  async function act(work) {
    if (busy) return;
    busy = true;
    node.setAttribute('aria-busy', 'true');
    fill(message).hidden = true;
    try {
      await work();
    } catch (error) {
      if (error.status === 404) onChanged(null);
      else { fill(message, problemNotice(error)).hidden = false; }
    } finally {
      busy = false;
      node.removeAttribute('aria-busy');
    }
  }

  const hideReport = () => { reportFailed = false; fill(report); };
  const showReport = (result, headline) => { reportFailed = !result.ok; fill(report, testReport(result, hideReport, headline)); };

  const test = () => act(async () => {
    fill(report, pendingReport());
    try {
      const result = await api.test(connection.id);
      showReport(result);
      onChanged(result.connection);
    } catch (error) {
      hideReport();
      throw error;
    }
  });

  const pause = () => act(async () => {
    hideReport();
    onChanged(await api.pause(connection.id));
    announce(`${connection.title} is paused.`);
  });

  const resume = () => act(async () => {
    fill(report, pendingReport());
    try {
      const result = await api.resume(connection.id);
      showReport(result, result.ok ? 'Resumed, and it works.' : null);
      onChanged(result.connection);
    } catch (error) {
      hideReport();
      throw error;
    }
  });

  function startRename() {
    const input = el('input', { class: 'input', value: connection.title, maxlength: 200, 'aria-label': 'New name', testid: 'rename-input', autocomplete: 'off' });
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      showTitle();
      titleLine.querySelector('[data-testid=rename]').focus();
    };
    const save = async () => {
      const next = input.value.trim();
      if (!next || next === connection.title) { end(); return; }
      await act(async () => {
        const renamed = await api.rename(connection.id, next);
        end();
        onChanged(renamed);
        announce(`Renamed to ${renamed.title}.`);
      });
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') { event.preventDefault(); end(); }
    });
    fill(titleLine, el('form', { class: 'rename', on: { submit: (event) => { event.preventDefault(); save(); } } },
      input,
      button('Save', { kind: 'primary', type: 'submit', testid: 'rename-save' }),
      button('Cancel', { testid: 'rename-cancel', onClick: end })));
    input.focus();
    input.select();
  }

  showTitle();
  update(connection);
  return { node, update, tick: showTimes, showReport };
}
