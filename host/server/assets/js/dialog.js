// Dialogs on the browser's own <dialog>: it keeps the focus inside, gives it back, and closes on Esc.
// What is added: a title bar, a question before typed words are thrown away, and a confirmation in one call.

import { button, el, fill, icon, problemNotice } from './dom.js';

let count = 0;

/**
 * Opens a dialog. `dirty()` says whether something typed would be lost; `onClose()` runs once when it is gone.
 * Returns {node, close, title(text)}; `close()` does not ask.
 */
export function openDialog({ title, sign = null, body, dirty = () => false, onClose = () => {}, testid }) {
  count += 1;
  const headingId = `dialog-${count}`;
  const heading = el('h2', { id: headingId }, title);
  const leave = el('div', { class: 'leave', hidden: true });
  const node = el('dialog', { 'aria-labelledby': headingId, testid },
    el('div', { class: 'dialog-head' }, sign, heading,
      el('button', { class: 'button quiet icon-only', type: 'button', 'aria-label': 'Close', testid: 'close', on: { click: tryClose } }, icon('cross'))),
    el('div', { class: 'dialog-body' }, body),
    leave);

  function tryClose() {
    if (!dirty()) { node.close(); return; }
    const keep = button('Keep editing', { onClick: () => { leave.hidden = true; } });
    fill(leave, el('span', { role: 'alert' }, 'Close and lose what you typed?'),
      el('span', { class: 'buttons' }, keep, button('Close', { kind: 'danger', testid: 'discard', onClick: () => node.close() })));
    leave.hidden = false;
    keep.focus();
  }

  node.addEventListener('cancel', (event) => { event.preventDefault(); tryClose(); });
  node.addEventListener('close', () => { node.remove(); onClose(); }, { once: true });
  // A press that began on the backdrop and ended there; a selection dragged out of a field is neither.
  let pressedOutside = false;
  node.addEventListener('pointerdown', (event) => { pressedOutside = event.target === node; });
  node.addEventListener('click', (event) => { if (pressedOutside && event.target === node) tryClose(); });

  document.body.append(node);
  node.showModal();
  return { node, close: () => node.open && node.close(), title: (text) => { heading.textContent = text; } };
}

/**
 * Asks before something that can't be undone with one click. `act()` runs while the dialog waits; what it returns is
 * shown as the result (a node) or, when it returns nothing, the dialog closes. A thrown error is shown and can be retried.
 */
export function confirmDialog({ title, text, action, kind = 'danger', testid, act, onClose }) {
  const message = el('div', { class: 'stack', role: 'status' });
  const go = button(action, { kind, testid: 'confirm' });
  const cancel = button('Cancel', { testid: 'cancel' });
  const buttons = el('div', { class: 'buttons end' }, cancel, go);
  const body = el('div', { class: 'stack' }, text.map((line) => el('p', {}, line)), message, buttons);
  const dialog = openDialog({ title, body, testid, onClose });
  cancel.addEventListener('click', dialog.close);
  go.addEventListener('click', async () => {
    go.disabled = true;
    fill(message);
    try {
      const result = await act();
      if (!result) { dialog.close(); return; }
      const done = button('Done', { kind: 'primary', testid: 'done', onClick: dialog.close });
      fill(body, result, el('div', { class: 'buttons end' }, done));
      done.focus();
    } catch (error) {
      fill(message, problemNotice(error));
      go.disabled = false;
      go.focus();
    }
  });
  cancel.focus();
  return dialog;
}
