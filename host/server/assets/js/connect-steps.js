// Steps of a sign-in that need the person in between: which of several things at the app is meant, and a code that is typed
// at the app. What the app says is text; its address becomes a link only if it is https.

import { api } from './api.js';
import { announce, button, el, fill, icon, outside, problemNotice, spinner } from './dom.js';
import { plural } from './words.js';

let count = 0;

/** So many answers are shown without a search. */
const SHORT = 8;

/**
 * Asks which one. `choose`: {step, say, options}. `onChosen(view)` gets the flow after the answer; `onStartOver()` and
 * `onCancel()` are the ways out.
 */
export function chooseStep({ flow, choose, appName, onChosen, onStartOver, onCancel }) {
  count += 1;
  const name = `choice-${count}`;
  const trouble = el('div', { role: 'status' });
  const go = button('Continue', { kind: 'primary', type: 'submit', testid: 'choose' });
  let chosen = null;
  const lines = choose.options.map((option) => {
    const input = el('input', { type: 'radio', name, value: option.value, on: { change: () => { chosen = option.value; fill(trouble); } } });
    return { option, node: el('label', { class: 'method choice', testid: `choice-${option.value}` }, input, el('b', {}, option.label)) };
  });
  const none = el('p', { class: 'muted', hidden: true }, 'Nothing of that name.');
  const search = lines.length > SHORT && el('input', {
    class: 'input', type: 'search', 'aria-label': 'Search', placeholder: 'Search', testid: 'choose-search', autocomplete: 'off',
    on: {
      input: (event) => {
        const words = event.target.value.trim().toLowerCase();
        for (const line of lines) line.node.hidden = !line.option.label.toLowerCase().includes(words);
        none.hidden = lines.some((line) => !line.node.hidden);
      },
    },
  });
  const form = el('form', { class: 'stack', testid: 'choose-step', on: { submit: submit } },
    el('fieldset', { class: 'methods' }, el('legend', { tabindex: -1 }, choose.say), search, el('div', { class: 'choices' }, lines.map((line) => line.node)), none),
    trouble,
    el('div', { class: 'buttons end' },
      button('Start over', { kind: 'quiet', testid: 'start-over', onClick: onStartOver }),
      button('Cancel', { testid: 'cancel-flow', onClick: onCancel }),
      go));

  async function submit(event) {
    event.preventDefault();
    if (chosen === null) {
      fill(trouble, el('p', { class: 'trouble' }, icon('alert'), 'Choose one.'));
      form.querySelector('input[type=radio]')?.focus();
      return;
    }
    go.disabled = true;
    fill(trouble);
    try {
      onChosen(await api.choose(flow, { step: choose.step, value: chosen }));
    } catch (error) {
      fill(trouble, problemNotice(error));
      go.disabled = false;
    }
  }

  announce(`${appName} has ${plural(lines.length, 'place', 'places')} to connect to. ${choose.say}`);
  return { node: form, focus: () => (search || form.querySelector('input[type=radio]'))?.focus() };
}

/** Shows the code that the person types at the app (RFC 8628, 3.3). `device`: {user_code, verification_uri, …}. */
export function deviceStep({ device, appName, onCancel }) {
  const link = outside(device.verification_uri_complete ?? device.verification_uri, `Open ${appName}`);
  const code = el('output', { class: 'device-code', testid: 'user-code', 'aria-label': 'Code' }, device.user_code);
  const left = el('span', { testid: 'device-left' });
  const copied = el('span', { role: 'status', class: 'muted small' });
  const copy = button('Copy the code', { kind: 'quiet', testid: 'copy-code', onClick: async () => {
    copied.textContent = await navigator.clipboard.writeText(device.user_code).then(() => 'Copied.', () => 'Select the code and copy it.');
  } });
  const tick = () => {
    const minutes = Math.max(0, Math.ceil((Date.parse(device.expires_at) - Date.now()) / 60000));
    left.textContent = minutes > 0 ? `The code is good for ${plural(minutes, 'minute')} more.` : 'The code has run out.';
  };
  tick();
  const timer = setInterval(tick, 10000);
  const node = el('div', { class: 'stack', testid: 'device-step' },
    el('ol', { class: 'stack device' },
      el('li', {}, 'Open this address on any device: ', el('code', { testid: 'verification-uri' }, device.verification_uri), link && [' ', link]),
      el('li', {}, 'Type this code there:', el('div', { class: 'line' }, code, copy), copied)),
    el('p', { class: 'muted small' }, 'Only type it if you have begun this yourself, here. ', left),
    el('p', { class: 'line', role: 'status' }, spinner(), `Waiting for ${appName}…`),
    el('div', { class: 'buttons end' }, button('Cancel', { testid: 'cancel-flow', onClick: onCancel })));
  announce(`Type the code ${device.user_code} at ${appName}.`);
  return { node, focus: () => copy.focus(), stop: () => clearInterval(timer) };
}
