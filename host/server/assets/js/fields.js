// The fields of a form, from what the manifest says about them: prefix and suffix, help and where to find the value,
// examples, choices, groups, files, fields that depend on another one, and hints while typing. The server checks; the
// hints only save a round trip, so they never stop a submit (but for a required field that is empty).

import { button, el, fill, icon, outside } from './dom.js';

const FORMATS = {
  email: [/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'This does not look like an e-mail address.'],
  'dns-label': [/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i, 'Only letters, digits and hyphens, without dots.'],
  host: [/^[a-z0-9.-]+(:\d+)?$/i, 'Only the host name, such as example.com, without https:// or a path.'],
  origin: [/^(https:\/\/)?[a-z0-9.-]+(:\d+)?$/i, 'Only the beginning of the address: https:// and the host name.'],
  url: [/^https:\/\/\S+$/i, 'An address that begins with https://.'],
  uuid: [/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'This should look like 123e4567-e89b-12d3-a456-426614174000.'],
  digits: [/^\d+$/, 'Digits only.'],
};

const INPUT_TYPES = { email: 'email', url: 'url' };

let count = 0;

/**
 * `fields`: FieldView[]. `update`: the form changes an existing connection, so nothing is required.
 * Returns {node, values(), dirty(), check(), showErrors(map), focusFirst()}.
 */
export function fieldSet(fields, { update = false } = {}) {
  const rows = fields.map((field) => fieldRow(field, update));
  const shown = () => rows.filter((row) => !row.node.hidden);

  // A field that depends on another one is there while that one has one of its values. What is hidden is not sent.
  function arrange() {
    for (const row of rows) {
      const when = row.shownWhen;
      if (!when) continue;
      const other = rows.find((one) => one.id === when.field);
      const value = other && !other.node.hidden ? other.value() : '';
      row.node.hidden = !when.values.includes(value) && !(update && value === '');
    }
  }
  const node = el('div', { class: 'stack', on: { input: arrange, change: arrange } }, grouped(rows));
  arrange();
  return {
    node,
    /** What was typed, by id; empty and hidden ones are left out. */
    values: () => Object.fromEntries(shown().map((row) => [row.id, row.value()]).filter(([, value]) => value !== '')),
    dirty: () => shown().some((row) => row.dirty()),
    /** Marks required fields that are empty; false if there is one. The first one gets the focus. */
    check() {
      const wrong = shown().filter((row) => !row.check());
      wrong[0]?.focus();
      return wrong.length === 0;
    },
    /** Shows what the server said, at the field; returns what belongs to no field of this form. */
    showErrors(errors) {
      const rest = { ...errors };
      let first = null;
      for (const row of rows) {
        if (!(row.id in rest)) continue;
        row.error(rest[row.id]);
        first ??= row;
        delete rest[row.id];
      }
      first?.focus();
      return Object.values(rest);
    },
    focusFirst: () => shown()[0]?.focus(),
    empty: rows.length === 0,
  };
}

/** Rows of one group stand under its heading, where the first of them stood. */
function grouped(rows) {
  const groups = new Map();
  const nodes = [];
  for (const row of rows) {
    if (!row.group) { nodes.push(row.node); continue; }
    if (!groups.has(row.group)) {
      const set = el('fieldset', { class: 'group' }, el('legend', {}, row.group));
      groups.set(row.group, set);
      nodes.push(set);
    }
    groups.get(row.group).append(row.node);
  }
  return nodes;
}

function fieldRow(field, update) {
  count += 1;
  const inputId = `field-${count}`;
  const messageId = `${inputId}-message`;
  const helpId = `${inputId}-help`;
  const required = field.required && !update;
  const message = el('div', { id: messageId, 'aria-live': 'polite' });
  const help = helpNode(field, helpId, update);
  const common = {
    id: inputId,
    class: 'input',
    name: field.id,
    testid: `field-${field.id}`,
    'aria-required': required,
    'aria-describedby': `${help ? `${helpId} ` : ''}${messageId}`,
  };
  const initial = update ? '' : field.default ?? '';
  const input = field.choices?.length ? chooser(field, common, initial, update) : textInput(field, common, initial);
  const node = el('div', { class: 'field' },
    el('label', { for: inputId }, field.label, !required && !update && el('span', { class: 'optional' }, ' (optional)')),
    framed(field, input),
    field.file && filePicker(field, input, (text) => show('error', text)),
    help,
    message);

  function show(kind, text) {
    node.classList.toggle('invalid', kind === 'error');
    if (kind === 'error') input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
    if (text) fill(message, el('p', { class: kind, testid: `${kind}-${field.id}` }, icon('alert'), text));
    else fill(message);
  }

  const value = () => (field.secret || field.multiline ? input.value.trim() : tidy(field, input.value));
  input.addEventListener('input', () => show(null));
  input.addEventListener('blur', () => {
    if (!field.secret && !field.multiline && input.value !== value()) input.value = value();
    const [pattern, say] = FORMATS[field.format] ?? [];
    if (pattern && value() && !pattern.test(value())) show('hint', say);
  });

  return {
    id: field.id,
    group: field.group ?? null,
    shownWhen: field.shown_when ?? null,
    node,
    value,
    dirty: () => input.value !== initial,
    check() {
      if (!required || value() !== '') return true;
      show('error', `Enter: ${field.label}.`);
      return false;
    },
    error: (text) => show('error', text),
    focus: () => input.focus(),
  };
}

function helpNode(field, helpId, update) {
  const link = field.help_url && outside(field.help_url, 'Where to find it');
  const kept = update ? (field.secret ? 'Leave empty to keep the stored one.' : 'Leave empty to keep it as it is.') : null;
  if (!field.help && !link && !kept) return null;
  return el('p', { class: 'help', id: helpId }, kept, kept && field.help ? ' ' : null, field.help, (field.help || kept) && link ? ' ' : null, link);
}

function chooser(field, common, initial, update) {
  const select = el('select', common,
    (update || !initial) && el('option', { value: '' }, update ? 'Keep as it is' : 'Choose…'),
    field.choices.map((choice) => el('option', { value: choice.value }, choice.label || choice.value)));
  select.value = initial;
  return select;
}

/** A file is read here and its text put into the input: what is sent is what stands there. */
function filePicker(field, input, refuse) {
  const max = field.file.max ?? 65536;
  const chooser = el('input', {
    type: 'file', class: 'visually-hidden', tabindex: -1, 'aria-hidden': 'true', accept: (field.file.accept ?? []).join(','), testid: `file-${field.id}`,
    on: {
      change: async () => {
        const file = chooser.files[0];
        chooser.value = '';
        if (!file) return;
        if (file.size > max) { refuse(`This file is larger than ${Math.ceil(max / 1024)} kB; choose the right one.`); return; }
        const text = await file.text().catch(() => null);
        if (text === null || text.includes('\u0000')) { refuse('This file cannot be read as text; choose another one.'); return; }
        input.value = text.trim();
        input.dispatchEvent(new Event('input', { bubbles: true }));
        input.focus();
      },
    },
  });
  return el('div', { class: 'file' }, button('Choose a file…', { kind: 'quiet', testid: `choose-${field.id}`, onClick: () => chooser.click(), 'aria-label': `Choose a file: ${field.label}` }), chooser);
}

function textInput(field, common, initial) {
  if (field.multiline) return multilineInput(field, common, initial);
  return el('input', {
    ...common,
    type: field.secret ? 'password' : INPUT_TYPES[field.format] ?? 'text',
    value: initial,
    placeholder: field.example && (field.secret ? null : `e.g. ${field.example}`),
    // Keys are no log-in for this site: browsers shouldn't offer to fill in or to remember them.
    autocomplete: field.secret ? 'new-password' : field.format === 'email' ? 'email' : 'off',
    autocapitalize: 'none',
    spellcheck: 'false',
    inputmode: field.format === 'digits' ? 'numeric' : null,
  });
}

/** A key in PEM and the like: several lines, in the letters of a machine. */
function multilineInput(field, common, initial) {
  return el('textarea', {
    ...common,
    class: `input multiline${field.secret ? ' masked' : ''}`,
    rows: 5,
    value: initial,
    placeholder: field.example && (field.secret ? null : `e.g. ${field.example}`),
    autocomplete: 'off',
    autocapitalize: 'none',
    spellcheck: 'false',
  });
}

function framed(field, input) {
  if (input.tagName !== 'INPUT' || !(field.prefix || field.suffix || field.secret)) return input;
  let eye = null;
  if (field.secret) {
    eye = button('', { kind: 'quiet icon-only', sign: 'eye', 'aria-label': `Show what is typed: ${field.label}`, 'aria-pressed': 'false',
      onClick: () => {
        const show = input.type === 'password';
        input.type = show ? 'text' : 'password';
        eye.setAttribute('aria-pressed', String(show));
      } });
  }
  return el('div', { class: 'affix' },
    field.prefix && el('span', { 'aria-hidden': 'true' }, field.prefix), input,
    field.suffix && el('span', { 'aria-hidden': 'true' }, field.suffix), eye);
}

/** People paste the whole address where only its first part is asked for: what stands around the input is taken off. */
export function tidy(field, typed) {
  let value = typed.trim();
  const low = () => value.toLowerCase();
  if (field.format === 'dns-label' || field.format === 'host') value = value.replace(/^https?:\/\//i, '').replace(/[/?#].*$/, '');
  if (field.format === 'origin') value = value.replace(/^((?:https?:\/\/)?[^/?#]+)[/?#].*$/i, '$1');
  if (field.prefix && low().startsWith(field.prefix.toLowerCase())) value = value.slice(field.prefix.length);
  if (field.suffix) {
    const suffix = field.suffix.toLowerCase();
    if (low().endsWith(suffix) && value.length > suffix.length) value = value.slice(0, -suffix.length);
  }
  return value;
}
