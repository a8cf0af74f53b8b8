// The Apps page: puts the list, the catalogue and the dialogs together. Everything here needs a manage session; without
// one the page says what to do.

import { api } from './api.js';
import { catalogue } from './catalogue.js';
import { connectDialog } from './connect-dialog.js';
import { button, fill, plainPage } from './dom.js';
import { stopEvents, subscribe } from './events.js';
import { connectionList } from './list.js';
import { takeRedirect } from './popup.js';

function ended() {
  stopEvents();
  plainPage({
    tone: 'idle', sign: 'clock', testid: 'session-ended', title: 'This page has ended',
    text: ['For your safety it closes after a while. Go back to where you came from and open it again; your connections are as you left them.'],
  });
}
document.addEventListener('keyport:session-ended', ended, { once: true });

async function start() {
  let session;
  try {
    session = await api.session();
  } catch (error) {
    if (error.status !== 401) {
      plainPage({ tone: 'bad', sign: 'alert', title: 'The page could not be loaded', text: [error.say, error.next].filter(Boolean),
        actions: [button('Try again', { kind: 'primary', onClick: () => location.reload() })] });
    }
    return;
  }
  if (session.kind === 'connect') { location.replace(`/connect${location.search}`); return; }

  document.getElementById('owner').textContent = session.owner_label || session.owner;
  document.getElementById('who').hidden = false;
  const leave = document.getElementById('leave');
  leave.hidden = false;
  leave.addEventListener('click', async () => {
    await api.endSession().catch(() => {});
    stopEvents();
    plainPage({ tone: 'ok', sign: 'check', title: 'You have left this page', text: ['You can close this tab.'] });
  });

  const cards = catalogue({ heading: 'Add an app', only: session.apps ?? null, onChoose: (app) => connect({ id: app.id, name: app.name }) });
  const list = connectionList({
    onAdd: () => cards.focus(),
    onSignIn: (connection) => connect({ id: connection.app, name: connection.app_name, connection }),
    onCount: (connections) => cards.setConnections(connections),
  });

  function connect({ id, name, connection = null, flow = null }) {
    return connectDialog({
      appId: id, name, connection, flow,
      onConnected: (made, view) => { if (view) list.changed(made, view); else list.load(); },
      onDone: (made) => list.focus(made),
      onAnother: () => connect({ id, name }),
    });
  }

  fill(document.getElementById('main'), list.node, cards.node);
  await Promise.all([list.load(), cards.load()]);
  subscribe((event) => {
    if (event.kind === 'connection') list.refresh(event.id);
    else if (event.kind === 'tick') list.load();
  });
  await resume(connect);
}

/** A sign-in in this same tab comes back to a new page: its dialog opens again and shows how it went. */
async function resume(connect) {
  const address = new URL(location.href);
  const named = address.searchParams.get('flow');
  const kept = takeRedirect();
  if (address.search) history.replaceState(null, '', address.pathname);
  const flow = named ?? kept?.flow;
  if (!flow) return;
  const view = await api.flow(flow).catch(() => null);
  if (!view || view.status === 'cancelled') return;
  const connection = kept?.connection ? await api.connection(kept.connection).catch(() => null) : null;
  const app = await api.app(view.app).catch(() => null);
  if (app) connect({ id: app.id, name: app.name, connection, flow });
}

start();
