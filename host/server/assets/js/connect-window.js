// The connect window: one task, from a platform's page and back to it. Choose the app (unless the session names it), choose
// an account that exists or sign in to another, hand the result over. Opened as a popup by connect.js or as a whole page
// by a redirect; the difference shows only in the way back (deliver.js).

import { api } from './api.js';
import { catalogue } from './catalogue.js';
import { connectPanel } from './connect-panel.js';
import { deliver, deliverCancel, deliverExpired, tellEvent } from './deliver.js';
import { button, el, fill, icon, logo, plainPage, problemNotice } from './dom.js';
import { stopEvents } from './events.js';
import { accountPicker } from './pick.js';
import { takeRedirect } from './popup.js';

let session = null;
let panel = null;
let over = false;

function end(show) {
  if (over) return;
  over = true;
  stopEvents();
  show();
}
document.addEventListener('keyport:session-ended', () => end(() => deliverExpired(session)));

const main = document.getElementById('main');

function frame({ title, sign = null, body, back = null }) {
  const heading = el('h1', { tabindex: -1 }, title);
  document.title = title;
  fill(main,
    el('div', { class: 'window-head' },
      el('div', { class: 'line' },
        back && el('button', { class: 'button quiet icon-only', type: 'button', 'aria-label': 'Back', testid: 'back', on: { click: back } }, icon('back')),
        sign ?? el('img', { class: 'mark', src: '/assets/keyport.svg', alt: '', width: 32, height: 32 }), heading),
      el('p', { class: 'muted small' }, 'For ', el('b', { testid: 'owner' }, session.owner_label || session.owner),
        session.for && [' · to be used for ', el('b', { testid: 'purpose' }, session.for)])),
    el('div', { class: 'window-body' }, body),
    el('div', { class: 'window-foot' }, button('Cancel', { kind: 'quiet', testid: 'cancel', onClick: cancel })));
  heading.focus();
}

async function cancel() {
  panel?.leave();
  await api.endSession().catch(() => {});
  end(() => deliverCancel(session));
}

const completed = (completion, name) => end(() => deliver(completion, `${name} is connected.`));

function chooseApp() {
  panel = null;
  const cards = catalogue({ heading: 'Choose an app', only: session.apps ?? null, onChoose: (app) => chooseAccount(app.id, chooseApp) });
  frame({ title: 'Connect an account', body: cards.node });
  cards.load().then(cards.focus);
}

/** `back`: where the person came from, or null when this is the first step. */
async function chooseAccount(appId, back) {
  panel = null;
  tellEvent(session, 'app_selected', { app: appId });
  const [app, all] = await Promise.all([api.app(appId), api.connections()]).catch((error) => {
    if (error.status !== 401) frame({ title: 'Connect an account', body: problemNotice(error), back });
    return [];
  });
  if (!app) return;
  const connections = all.filter((one) => one.app === app.id && one.state !== 'pending');
  if (connections.length === 0) { signIn(app, null, back); return; }
  const again = () => chooseAccount(appId, back);
  frame({
    title: `Connect ${app.name}`, sign: logo(app.id, app.name), back,
    body: accountPicker({
      app, connections,
      onPicked: (completion) => completed(completion, app.name),
      onNew: () => signIn(app, null, again),
      onSignIn: (connection) => signIn(app, connection, again),
    }),
  });
}

function signIn(app, connection, back, flow = null) {
  panel = connectPanel({
    app, connection,
    tell: (type, details) => tellEvent(session, type, details),
    onConnected(state) {
      if (state.completion) { completed(state.completion, app.name); return null; }
      // Signed in, and the hand-over is not ready or was fetched by another window: say so rather than hang.
      end(() => plainPage({ tone: 'ok', sign: 'check', testid: 'completed', title: 'Done', text: [`${app.name} is connected. You can close this window.`] }));
      return null;
    },
  });
  frame({ title: connection ? `Sign in to ${app.name} again` : `Connect ${app.name}`, sign: logo(app.id, app.name), body: panel.node, back: back && (() => { panel.leave(); back(); }) });
  if (flow) panel.resume(flow);
  else panel.focus();
}

async function start() {
  try {
    session = await api.session();
  } catch (error) {
    if (error.status !== 401) {
      end(() => plainPage({ tone: 'bad', sign: 'alert', title: 'The window could not be loaded', text: [error.say, error.next].filter(Boolean),
        actions: [button('Try again', { kind: 'primary', onClick: () => location.reload() })] }));
    }
    return;
  }
  if (session.kind === 'manage') { location.replace('/apps'); return; }
  tellEvent(session, 'opened');

  const asked = new URL(location.href).searchParams;
  const kept = takeRedirect();
  if (location.search) history.replaceState(null, '', location.pathname);
  const flow = asked.get('flow') ?? kept?.flow;
  const view = flow ? await api.flow(flow).catch(() => null) : null;
  if (view && view.status !== 'cancelled') {
    const app = await api.app(view.app);
    const connection = kept?.connection ? await api.connection(kept.connection).catch(() => null) : null;
    signIn(app, connection, () => chooseAccount(app.id, null), view.id);
    return;
  }
  if (session.connection_id) {
    const connection = await api.connection(session.connection_id);
    signIn(await api.app(connection.app), connection, null);
    return;
  }
  // The page may ask for one app; which ones are allowed is the session's word.
  const allowed = session.apps ?? null;
  const wanted = asked.get('app');
  const only = allowed?.length === 1 ? allowed[0] : wanted && (!allowed || allowed.includes(wanted)) ? wanted : null;
  if (only) await chooseAccount(only, allowed?.length === 1 ? null : chooseApp);
  else chooseApp();
}

start().catch((error) => end(() => plainPage({
  tone: 'bad', sign: 'alert', title: 'This did not work', text: [error.say ?? 'Something went wrong on this page.', error.next].filter(Boolean),
  actions: [button('Try again', { kind: 'primary', onClick: () => location.reload() })],
})));
