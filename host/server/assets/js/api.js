// The one door from the pages to the server: JSON in and out, problems as errors with words in them.
// The cookie is the right; it is HttpOnly and never seen here. What is left out: retries (the person decides).

import { nextStep, sentence } from './words.js';

/** What the server refused, in words. `fields` maps a field's id to what is wrong with it. */
export class ApiError extends Error {
  constructor(status, body = {}, requestId = null) {
    super(sentence(body.detail || body.title || 'Something went wrong'));
    this.status = status;
    this.code = body.code ?? (status === 0 ? 'network' : 'unknown');
    this.fields = fieldErrors(body);
    this.ref = body.request_id ?? requestId;
    this.next = nextStep(this.code);
  }
  get say() { return this.message; }
}

function fieldErrors(body) {
  const list = Array.isArray(body.errors) ? body.errors : [];
  return Object.fromEntries(list.map((one) => [String(one.field), sentence(one.detail || 'This value was not accepted')]));
}

async function call(method, path, body) {
  const init = { method, credentials: 'same-origin', headers: { accept: 'application/json' }, cache: 'no-store' };
  if (body !== undefined) {
    init.headers['content-type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new ApiError(0, { detail: 'The server cannot be reached right now.' });
  }
  const text = await answer.text();
  let json = {};
  try { json = text ? JSON.parse(text) : {}; } catch { json = {}; }
  if (answer.ok) return json;
  if (answer.status === 401) document.dispatchEvent(new CustomEvent('keyport:session-ended'));
  throw new ApiError(answer.status, json, answer.headers.get('x-request-id'));
}

const id = encodeURIComponent;
const query = (values) => {
  const pairs = Object.entries(values).filter(([, value]) => value);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
};

/** Reads all pages of a listing, up to a bound that keeps a page usable. */
async function all(path, values = {}) {
  const items = [];
  let cursor = null;
  for (let round = 0; round < 10; round += 1) {
    const page = await call('GET', path + query({ ...values, limit: 100, cursor }));
    items.push(...(page.items ?? []));
    cursor = page.next_cursor ?? null;
    if (!cursor) break;
  }
  return items;
}

const kept = new Map();

/** An app's description hardly changes: within a minute it is not asked for again, and its dialog opens at once. */
function recent(key, ask) {
  const known = kept.get(key);
  if (known && Date.now() - known.at < 60000) return known.answer;
  const answer = ask();
  kept.set(key, { at: Date.now(), answer });
  answer.catch(() => kept.delete(key));
  return answer;
}

export const api = {
  open: (token, confirmed = false) => call('POST', '/page/open', { token, confirmed }),
  session: () => call('GET', '/page/session'),
  endSession: () => call('DELETE', '/page/session'),
  apps: (values) => all('/page/apps', values),
  app: (app) => recent(app, () => call('GET', `/page/apps/${id(app)}`)),
  connections: () => all('/page/connections'),
  connection: (con) => call('GET', `/page/connections/${id(con)}`),
  submit: (form) => call('POST', '/page/connections', form),
  startOauth: (start) => call('POST', '/page/flows', start),
  flow: (flow) => call('GET', `/page/flows/${id(flow)}`),
  choose: (flow, chosen) => call('POST', `/page/flows/${id(flow)}/choose`, chosen),
  cancelFlow: (flow) => call('DELETE', `/page/flows/${id(flow)}`),
  rename: (con, title) => call('PATCH', `/page/connections/${id(con)}`, { title }),
  test: (con) => call('POST', `/page/connections/${id(con)}/test`),
  pause: (con) => call('POST', `/page/connections/${id(con)}/pause`),
  resume: (con) => call('POST', `/page/connections/${id(con)}/resume`),
  disconnect: (con) => call('POST', `/page/connections/${id(con)}/disconnect`),
  details: (con, fields) => call('POST', `/page/connections/${id(con)}/details`, { fields }),
  remove: (con) => call('DELETE', `/page/connections/${id(con)}`),
  pick: (con) => call('POST', '/page/pick', { connection_id: con }),
};
