// The end of a connect session: handing the one-time completion code to the platform's page, and to nobody else.
//
// The code goes to the exact origins that the platform's backend registered with the session, or to its registered return
// URL; both come from the server, never from this page's address or from a message. The browser itself drops a message
// whose target origin is not the receiver's. The code alone is worth nothing: the platform's backend redeems it with its
// own key and names its signed-in user.

import { plainPage, button } from './dom.js';

const opener = () => (window.opener && !window.opener.closed ? window.opener : null);

function post(message, origins) {
  const target = opener();
  if (!target || origins.length === 0) return false;
  for (const origin of origins) target.postMessage({ v: 1, ...message }, origin);
  return true;
}

/** Tells the platform's page what happens here, for its own display. No right and no proof is in it. */
export const tellEvent = (session, type, details = {}) => post({ flow: null, ...details, type }, session?.origins ?? []);

const closeButton = () => button('Close this window', { kind: 'primary', testid: 'close-window', onClick: () => window.close() });

/** `completion`: {session, code, target_origins?, return_url?}. `text`: what to say while the window goes away. */
export function deliver(completion, text) {
  const told = post({ type: 'completed', session: completion.session, code: completion.code }, completion.target_origins ?? []);
  if (told) {
    plainPage({ tone: 'ok', sign: 'check', testid: 'completed', title: 'Done', text: [text, 'This window closes by itself.'], actions: [closeButton()] });
    setTimeout(() => window.close(), 600);
    return;
  }
  if (completion.return_url) {
    plainPage({ tone: 'ok', sign: 'check', testid: 'completed', title: 'Done', text: [text, 'Taking you back…'] });
    location.replace(completion.return_url);
    return;
  }
  plainPage({
    tone: 'warn', sign: 'alert', testid: 'opener-gone', title: 'Almost done',
    text: [text, 'But the page that you came from is no longer open, so it cannot be told. Open it again and choose the account there; nothing needs to be typed twice.'],
    actions: [closeButton()],
  });
}

/** The person changed their mind. The platform is told where it can be. */
export function deliverCancel(session) {
  const told = post({ type: 'cancelled', session: session.id }, session.origins ?? []);
  if (!told && session.return_url) {
    const back = new URL(session.return_url);
    back.searchParams.set('session', session.id);
    back.searchParams.set('error', 'cancelled');
    location.replace(back.href);
    return;
  }
  plainPage({ tone: 'idle', sign: 'info', testid: 'cancelled', title: 'Nothing was connected', text: ['You can close this window and go on where you were.'], actions: [closeButton()] });
  if (told) setTimeout(() => window.close(), 300);
}

/** The session ended while the window was open. */
export function deliverExpired(session) {
  if (session) post({ type: 'expired', session: session.id }, session.origins ?? []);
  plainPage({
    tone: 'idle', sign: 'clock', testid: 'session-ended', title: 'This window has ended',
    text: ['For your safety it closes after a while. Go back to the page that you came from and begin again there.'],
    actions: opener() ? [closeButton()] : [],
  });
}
