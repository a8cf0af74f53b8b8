// A window that is open already and waits to be told where to go. It exists because browsers only let a window open in the
// click itself, when the address is not known yet.
//
// 1. Our own pages open it for a sign-in and navigate it themselves (popup.js): then there is nothing to do here.
// 2. connect.js on a platform's page opens it with `#origin=<the page's origin>`, is told `ready`, and answers with the
//    session's link. Messages count only from the very window that opened this one and from that very origin, and the only
//    thing that a message can do is lead to a session link of this host: the same as a click on such a link.

import { plainPage, button } from './dom.js';

const given = new URLSearchParams(location.hash.slice(1)).get('origin');
const opener = window.opener;

function exactOrigin(text) {
  try {
    const { origin } = new URL(text);
    return origin === text && origin !== 'null' ? origin : null;
  } catch { return null; }
}

const origin = given && exactOrigin(given);
if (opener && origin) {
  window.addEventListener('message', (event) => {
    if (event.source !== opener || event.origin !== origin) return;
    const { v, type, url } = event.data ?? {};
    if (v !== 1 || type !== 'session' || typeof url !== 'string') return;
    let target;
    try { target = new URL(url); } catch { return; }
    if (target.origin !== location.origin || target.pathname !== '/open') return;
    target.searchParams.set('origin', origin);
    location.replace(target.href);
  });
  opener.postMessage({ v: 1, type: 'ready' }, origin);
}

setTimeout(() => {
  plainPage({
    tone: 'warn', sign: 'clock', title: 'This takes longer than it should', testid: 'wait-long',
    text: ['Close this window and try again in the page that you came from.'],
    actions: [button('Close this window', { kind: 'primary', onClick: () => window.close() })],
  });
}, 30000);
