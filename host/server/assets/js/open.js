// A session's link, opened. The token is in the fragment, which browsers send to no server. It is taken out of the address
// (and so out of the history) before anything else happens, traded once for a cookie, and forgotten.

import { api } from './api.js';
import { button, plainPage } from './dom.js';

const address = new URL(location.href);
const token = decodeURIComponent(location.hash.slice(1));
const hint = { app: address.searchParams.get('app'), origin: address.searchParams.get('origin') };
history.replaceState(null, '', address.pathname);

/** Tells the page that opened this window, if it said where it is. The message holds nothing that is secret. */
function tellOpener(type) {
  if (!hint.origin || !window.opener || window.opener.closed) return;
  try {
    const origin = new URL(hint.origin).origin;
    if (origin === hint.origin) window.opener.postMessage({ v: 1, type }, origin);
  } catch { /* not an origin: nobody to tell */ }
}

function useless(title, text) {
  tellOpener('expired');
  plainPage({
    tone: 'warn', sign: 'clock', title, text, testid: 'link-expired',
    actions: window.opener ? [button('Close this window', { kind: 'primary', onClick: () => window.close() })] : [],
  });
}

/**
 * A link that was sent: whoever it reached sees who asks, for which app and who will have the account, and decides. Nothing is
 * used up before the click, so that programs that look into mail do no harm.
 */
function ask(link) {
  const apps = link.apps.length ? link.apps.join(', ') : 'one of your apps';
  const until = new Date(link.expires_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  plainPage({
    tone: 'idle', sign: 'info', testid: 'sent-link', title: `Connect ${apps} for ${link.owner_label}?`,
    text: [
      `${link.platform} asks for it${link.for ? `, to be used for ${link.for}` : ''}. ${link.owner_label} (${link.owner}) will have access to the account that you sign in with.`,
      `At the end you sign in at ${link.platform} as ${link.owner_label}; otherwise nothing is connected. If you do not know what this is about, close this page.`,
      `This link works once, until ${until}.`,
    ],
    actions: [button('Go on', { kind: 'primary', testid: 'confirm-link', onClick: () => open(true) })],
  });
}

async function open(confirmed = false) {
  if (!token) {
    useless('This link is not complete', ['Go back to the page that you came from and open it from there.']);
    return;
  }
  try {
    const session = await api.open(token, confirmed);
    if (session.confirm) { ask(session.confirm); return; }
    const query = hint.app ? `?${new URLSearchParams({ app: hint.app })}` : '';
    location.replace(session.kind === 'manage' ? '/apps' : `/connect${query}`);
  } catch (error) {
    if (error.status === 0 || error.status >= 500 || error.status === 429) {
      // The token is still in memory: trying again needs no new link while that lives.
      plainPage({ tone: 'bad', sign: 'alert', title: 'The page could not be opened', text: [error.say, error.next].filter(Boolean), testid: 'open-failed',
        actions: [button('Try again', { kind: 'primary', onClick: () => open(confirmed) })] });
      return;
    }
    useless('This link has been used or has expired', [
      'A link like this works once and only for a short time, so that nobody else can use it.',
      'Go back to the page that you came from and open it again from there.',
    ]);
  }
}

open();
