// Reads /openapi.json and shows it: operations by group, each with its parameters, body, answers and examples.
// Text goes in as text only (never as markup), so nothing in the document can act on this page.

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];
/** Deeper than this, a schema is named and not unfolded: some refer to themselves. */
const DEPTH = 5;

const found = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text with `code` marked as such; nothing else of Markdown is used in the document. */
function prose(text = '') {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 ? element('code', {}, part) : part));
}

const api = {
  document: null,
  /** The schema that `schema` names, or itself. */
  resolve(schema) {
    const name = schema?.$ref?.split('/').pop();
    return name ? (api.document.components?.schemas?.[name] ?? {}) : (schema ?? {});
  },
  nameOf: (schema) => schema?.$ref?.split('/').pop() ?? null,
};

/** A type in a few words. */
function typeOf(schema) {
  const name = api.nameOf(schema);
  const real = api.resolve(schema);
  if (real.enum) return real.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (name) return name;
  const alternatives = real.oneOf ?? real.anyOf;
  if (alternatives) return alternatives.map(typeOf).filter((type) => type !== 'null').join(' or ');
  if (real.type === 'array' || real.type?.includes?.('array')) return `list of ${typeOf(real.items)}`;
  if (Array.isArray(real.type)) return real.type.filter((type) => type !== 'null').join(' or ');
  return real.type ?? 'anything';
}

/** An example made from a schema, where the document brings none. */
function exampleOf(schema, depth = 0) {
  const real = api.resolve(schema);
  if (real.example !== undefined) return real.example;
  if (real.examples?.length) return real.examples[0];
  if (real.enum) return real.enum[0];
  if (depth > DEPTH) return {};
  if (real.allOf) return Object.assign({}, ...real.allOf.map((part) => exampleOf(part, depth + 1)));
  const alternatives = (real.oneOf ?? real.anyOf)?.filter((one) => one.type !== 'null');
  if (alternatives?.length) return exampleOf(alternatives[0], depth + 1);
  const type = [].concat(real.type ?? []).find((one) => one !== 'null');
  if (type === 'array') return [exampleOf(real.items, depth + 1)];
  if (type === 'object') {
    const entries = Object.entries(real.properties ?? {});
    return Object.fromEntries(entries.map(([name, property]) => [name, exampleOf(property, depth + 1)]));
  }
  return { string: '…', integer: 0, number: 0, boolean: true }[type] ?? null;
}

function propertyRows(schema, depth = 0) {
  const real = api.resolve(schema);
  const required = new Set(real.required ?? []);
  return Object.entries(real.properties ?? {}).flatMap(([name, property]) => {
    const label = element('code', {}, name);
    const row = element('tr', {},
      element('td', { className: depth ? 'indent' : '' }, '\u2003'.repeat(depth), label),
      element('td', {}, typeOf(property)),
      element('td', {}, required.has(name) ? 'required' : ''),
      element('td', {}, ...prose(property.description ?? api.resolve(property).description)));
    const inner = [].concat(property.type ?? []).includes('array') ? property.items : property;
    return depth < 2 ? [row, ...propertyRows(inner, depth + 1)] : [row];
  });
}

function table(headings, rows) {
  const head = element('tr', {}, ...headings.map((heading) => element('th', { scope: 'col' }, heading)));
  return element('div', { className: 'scroll' }, element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows)));
}

const pretty = (value) => element('pre', { tabIndex: 0 }, JSON.stringify(value, null, 2));

function parameters(operation) {
  if (!operation.parameters?.length) return null;
  const rows = operation.parameters.map((parameter) => element('tr', {},
    element('td', {}, element('code', {}, parameter.name)),
    element('td', {}, parameter.in),
    element('td', {}, typeOf(parameter.schema)),
    element('td', {}, parameter.required ? 'required' : ''),
    element('td', {}, ...prose(parameter.description))));
  return element('div', {}, element('h4', {}, 'Parameters'), table(['Name', 'In', 'Type', '', ''], rows));
}

function body(content, title) {
  const json = content?.['application/json'];
  if (!json) return null;
  const inner = (api.resolve(json.schema).oneOf ?? []).find((one) => one.type !== 'null') ?? json.schema;
  const rows = propertyRows(inner);
  const example = json.example ?? exampleOf(json.schema);
  return element('div', {}, element('h4', {}, title),
    rows.length ? element('details', {}, element('summary', {}, api.nameOf(inner) ?? 'Fields'), table(['Field', 'Type', '', ''], rows)) : null,
    pretty(example));
}

function answers(operation) {
  return Object.entries(operation.responses ?? {}).filter(([status]) => status !== 'default').map(([status, response]) =>
    element('div', {},
      body(response.content, `Answer ${status}`) ?? element('h4', {}, `Answer ${status}`),
      element('p', { className: 'muted' }, ...prose(response.description))));
}

function article({ path, methods, operation, id }) {
  const address = element('p', { className: 'address' });
  methods.forEach((method) => address.append(element('span', { className: `method ${method}` }, method.toUpperCase()), ' '));
  address.append(path);
  return element('article', { id },
    element('h3', {}, operation.summary ?? operation.operationId), address,
    ...(operation.description ?? '').split('\n\n').filter(Boolean).map((text) => element('p', {}, ...prose(text))),
    parameters(operation), body(operation.requestBody?.content, 'Body'), ...answers(operation));
}

/** Operations by tag, in the document's order; methods that share one description (the proxy) become one entry. */
function groups() {
  const byTag = new Map((api.document.tags ?? []).map((tag) => [tag.name, { about: tag.description, entries: [] }]));
  for (const [path, item] of Object.entries(api.document.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const operation = item[method];
      const tag = operation.tags?.[0] ?? 'other';
      if (!byTag.has(tag)) byTag.set(tag, { about: '', entries: [] });
      const { entries } = byTag.get(tag);
      const same = entries.find((entry) => entry.path === path && entry.operation.summary === operation.summary);
      if (same) same.methods.push(method);
      else entries.push({ path, methods: [method], operation, id: operation.operationId });
    }
  }
  return byTag;
}

function show() {
  const { info } = api.document;
  found('about').append(...prose(info.description));
  found('version').append(`Version ${info.version}`);
  const links = [];
  for (const [tag, { about, entries }] of groups()) {
    if (!entries.length) continue;
    const section = element('section', {}, element('h2', {}, tag), element('p', { className: 'muted' }, ...prose(about)));
    const list = element('ul');
    for (const entry of entries) {
      const shown = article(entry);
      const link = element('li', {}, element('a', { href: `#${entry.id}` }, entry.operation.summary ?? entry.id));
      section.append(shown);
      list.append(link);
      const text = `${entry.path} ${entry.methods.join(' ')} ${entry.operation.summary} ${tag} ${entry.id}`.toLowerCase();
      links.push({ text, shown, link });
    }
    found('main').append(section);
    found('contents').append(element('h2', {}, tag), list);
  }
  const problem = element('section', {}, element('h2', {}, 'Errors'),
    element('article', { id: 'errors' }, element('p', {}, ...prose('Any operation may answer with `application/problem+json`.')),
      body({ 'application/json': { schema: { $ref: '#/components/schemas/Problem' } } }, 'Problem')));
  found('main').append(problem);
  filter(links);
}

function filter(links) {
  found('filter').addEventListener('input', (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { text, shown, link } of links) {
      const matches = words.every((word) => text.includes(word));
      shown.hidden = !matches;
      link.hidden = !matches;
      count += matches ? 1 : 0;
    }
    found('status').textContent = words.length ? `${count} found` : '';
  });
}

try {
  const answer = await fetch('/openapi.json', { headers: { accept: 'application/json' } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  api.document = await answer.json();
  show();
  found('status').textContent = '';
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (error) {
  found('status').textContent = `The document can't be shown (${error.message}). It is at /openapi.json.`;
}
