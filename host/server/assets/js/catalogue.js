// The catalogue: search as you type and categories. The server searches (it knows the other names of apps, too); the
// categories come from the first, whole listing.

import { api } from './api.js';
import { announce, button, el, fill, icon, logo, problemNotice } from './dom.js';
import { categoryName, plural } from './words.js';

/** `onChoose(app summary)`. `only`: ids of the apps that may be shown, or null for all. `heading`: text of the title. */
export function catalogue({ onChoose, only = null, heading = 'Apps' }) {
  let counts = new Map();
  let category = null;
  let shown = [];
  let round = 0;
  let timer = null;
  const search = el('input', { class: 'input', type: 'search', placeholder: 'Search apps', 'aria-label': 'Search apps', testid: 'search', autocomplete: 'off', spellcheck: 'false' });
  const chips = el('div', { class: 'chips', role: 'group', 'aria-label': 'Categories', hidden: true });
  const grid = el('ul', { class: 'grid', testid: 'catalogue', 'aria-labelledby': 'catalogue-title' });
  const message = el('div', {});
  const finder = el('div', { class: 'finder' }, el('div', { class: 'search' }, icon('search'), search), chips);
  const node = el('section', { 'aria-labelledby': 'catalogue-title' },
    el('div', { class: 'section-head' }, el('h2', { id: 'catalogue-title' }, heading)), finder, message, grid);

  search.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(find, 140); });
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && shown.length === 1) { event.preventDefault(); onChoose(shown[0]); }
  });

  async function find() {
    const mine = (round += 1);
    const q = search.value.trim();
    try {
      const found = allowed(await api.apps({ q, category }));
      // An earlier, slower answer must not replace a later one.
      if (mine !== round) return;
      shown = found;
      show(q);
    } catch (error) {
      if (mine === round && error.status !== 401) fill(message, problemNotice(error), el('p', {}, button('Try again', { onClick: find })));
    }
  }

  const allowed = (apps) => (only ? apps.filter((app) => only.includes(app.id)) : apps);

  function show(q) {
    fill(grid, shown.map(card));
    fill(message);
    if (q || category) announce(plural(shown.length, 'app'));
    if (shown.length > 0) return;
    fill(message, el('div', { class: 'empty', testid: 'no-apps' },
      el('h3', {}, q ? `Nothing found for “${q}”` : 'No apps here yet'),
      el('p', { class: 'muted' }, q ? 'Try another name, or look through all apps.' : 'The people who run this service have not added any.'),
      (q || category) && button('Show all apps', { onClick: () => { search.value = ''; pickCategory(null); search.focus(); } })));
  }

  function card(app) {
    const badge = el('span', { class: 'badge' });
    paintBadge(badge, app);
    return el('li', {}, el('button', { class: 'app-card', type: 'button', testid: `app-card-${app.id}`, on: { click: () => onChoose(app) } },
      logo(app.id, app.name),
      el('span', { class: 'about' }, el('b', {}, app.name), el('span', { class: 'muted small clamp' }, app.summary), badge)));
  }

  function paintBadge(badge, app) {
    const n = counts.get(app.id) ?? 0;
    badge.className = `badge${n ? ' has' : ''}`;
    badge.textContent = n ? `${plural(n, 'account')} connected` : app.available ? '' : 'Not set up here yet';
    badge.hidden = !badge.textContent;
  }

  function pickCategory(next) {
    category = next;
    for (const chip of chips.children) chip.setAttribute('aria-pressed', String((chip.dataset.category || null) === category));
    find();
  }

  async function load() {
    await find();
    const categories = [...new Set(shown.flatMap((app) => app.categories))].sort();
    if (categories.length < 2) return;
    chips.hidden = false;
    fill(chips, [null, ...categories].map((id) => el('button', {
      class: 'chip', type: 'button', 'data-category': id ?? '', testid: `category-${id ?? 'all'}`, 'aria-pressed': String(id === category), on: { click: () => pickCategory(id) },
    }, id ? categoryName(id) : 'All')));
  }

  return {
    node, load,
    focus: () => { search.scrollIntoView({ block: 'center' }); search.focus({ preventScroll: true }); },
    /** How many accounts each app has, for the line on its card. */
    setConnections(connections) {
      counts = new Map();
      for (const one of connections) if (one.state !== 'disconnected') counts.set(one.app, (counts.get(one.app) ?? 0) + 1);
      shown.forEach((app, index) => {
        const badge = grid.children[index]?.querySelector('.badge');
        if (badge) paintBadge(badge, app);
      });
    },
  };
}
