// Building the page without markup strings: every text enters through a text node, so nothing that a person, an app
// or a provider wrote can become an element. No other module sets attributes or makes elements in another way.

import { further } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element.
 * `props`: `class`, `testid`, `on` ({event: listener}), `value`/`checked`/`disabled`/`hidden` (set as properties);
 * everything else is an attribute. `undefined`, `null` and `false` are left out.
 * `children`: nodes or strings (as text); `null` and `false` are left out; arrays are flattened.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'class') node.className = value;
    else if (key === 'testid') node.dataset.testid = value;
    else if (key === 'on') for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (['value', 'checked', 'disabled', 'hidden'].includes(key)) node[key] = value;
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  put(node, children);
  return node;
}

/** Replaces what `node` holds. */
export function fill(node, ...children) {
  node.replaceChildren();
  put(node, children);
  return node;
}

function put(node, children) {
  for (const child of children.flat(3)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
}

const ICONS = {
  check: ['M20 6 9 17l-5-5'],
  cross: ['M18 6 6 18', 'M6 6l12 12'],
  alert: ['M12 8v5', 'M12 16.5v.01', 'M10.3 3.9 1.9 18a2 2 0 0 0 1.7 3h16.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0Z'],
  info: ['M12 11v5', 'M12 7.5v.01', 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Z'],
  pause: ['M9 5v14', 'M15 5v14'],
  clock: ['M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Z', 'M12 7v5l3 2'],
  unplug: ['M5 19 19 5', 'M9 3v5', 'M15 3v3', 'M6 8h8', 'M18 8v3a6 6 0 0 1-6 6v4', 'M6 8v3'],
  pencil: ['M4 20h4L19 9l-4-4L4 16v4Z', 'm13 7 4 4'],
  search: ['M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14Z', 'm20 20-4-4'],
  plus: ['M12 5v14', 'M5 12h14'],
  eye: ['M2 12s3.6-7 10-7 10 7 10 7-3.6 7-10 7-10-7-10-7Z', 'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z'],
  back: ['M19 12H5', 'm12 19-7-7 7-7'],
  window: ['M4 5h16v14H4Z', 'M4 9h16'],
};

/** A small drawn sign; hidden from screen readers, which get the words beside it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  for (const d of ICONS[name] ?? []) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

/** An app's logo, or its first letter where there is none. Decorative: the name always stands beside it. */
export function logo(app, name) {
  const tile = el('span', { class: 'tile', 'aria-hidden': 'true' });
  const image = el('img', { src: `/apps/${encodeURIComponent(app)}/logo.svg`, alt: '', loading: 'lazy', width: 28, height: 28 });
  image.addEventListener('error', () => fill(tile, (name ?? app).slice(0, 1).toUpperCase()));
  tile.append(image);
  return tile;
}

/** A button that does something here. `kind` is a class of base.css (`primary`, `quiet`, `danger`, `link`). */
export function button(label, { kind = '', testid, sign, onClick, type = 'button', ...rest } = {}) {
  return el('button', { class: `button ${kind}`.trim(), type, testid, on: onClick && { click: onClick }, ...rest }, sign && icon(sign), label);
}

/** A link to a page of somebody else: https only, in a new tab, told nothing about this one. Otherwise nothing. */
export function outside(url, label) {
  let parsed;
  try { parsed = new URL(url); } catch { return null; }
  if (parsed.protocol !== 'https:') return null;
  return el('a', { href: parsed.href, target: '_blank', rel: 'noopener noreferrer' }, label);
}

/** A notice in a tone (`ok`, `warn`, `bad`, `idle`). */
export function notice(tone, ...children) {
  const sign = { ok: 'check', warn: 'alert', bad: 'alert' }[tone] ?? 'info';
  return el('div', { class: `notice ${tone}`, role: tone === 'bad' ? 'alert' : null }, icon(sign), el('div', {}, ...children));
}

/** What went wrong, what to do now, and the reference to quote. `problem`: {say, next?, ref?}. */
export function problemNotice(problem) {
  return notice('bad',
    el('p', { testid: 'error' }, problem.say),
    further(problem.say, problem.next) && el('p', {}, problem.next),
    problem.ref && el('p', { class: 'ref' }, 'Reference: ', el('code', {}, problem.ref)));
}

export const spinner = () => el('span', { class: 'spinner', 'aria-hidden': 'true' });

let announcer;
/** Says something to screen readers without moving the focus. */
export function announce(text) {
  if (!announcer) {
    announcer = el('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite', testid: 'announcer' });
    document.body.append(announcer);
  }
  announcer.textContent = '';
  // A change that comes in the same frame as the emptying is not read out.
  setTimeout(() => { announcer.textContent = text; }, 60);
}

/** The whole page says one thing: a title, what to do, and perhaps buttons. Used for ends. */
export function plainPage({ tone = 'idle', sign = 'info', title, text = [], actions = [], testid }) {
  document.title = title;
  document.body.className = 'plain';
  const heading = el('h1', { tabindex: -1 }, title);
  fill(document.body, el('main', { class: 'stack center', testid },
    el('span', { class: `big ${tone}`, 'aria-hidden': 'true' }, icon(sign)),
    heading,
    el('div', { class: 'stack', role: 'status' }, text.map((line) => el('p', { class: 'muted' }, line))),
    actions.length ? el('div', { class: 'buttons' }, actions) : null));
  announcer = undefined;
  heading.focus();
}
