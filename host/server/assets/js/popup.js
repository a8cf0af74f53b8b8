// The second window, in which the person signs in at the app.
//
// It is opened in the click itself, at a page of our own, because a window that opens after an answer from the server is
// blocked. It gets the app's address when the server has one. Before it leaves for the app it forgets who opened it
// (`opener = null`), so that no page there can send this one elsewhere. Whether it is closed is a hint and never a verdict:
// some apps' pages cut the tie between windows, after which every window looks closed.

const WAIT = '/connect/wait';

/**
 * On phones and in installed web apps a second window is lost or not to be had: the same tab is better. The width alone does
 * not tell here: the connect window is itself a narrow window, on a screen that has room for another one.
 */
export const prefersSameTab = () =>
  matchMedia('(max-width: 639px) and (pointer: coarse)').matches || matchMedia('(display-mode: standalone)').matches;

/** Opens the window. Call it in a click handler, before any `await`. Null when the browser blocks it. */
export function openPopup() {
  const width = 560;
  const height = 720;
  const left = Math.max(0, window.screenX + (window.outerWidth - width) / 2);
  const top = Math.max(0, window.screenY + (window.outerHeight - height) / 2);
  // A name that nobody can guess: another page can't take the window over by its name.
  const name = `kp${crypto.getRandomValues(new Uint32Array(2)).join('')}`;
  const popup = window.open(WAIT, name, `popup,width=${width},height=${height},left=${Math.round(left)},top=${Math.round(top)}`);
  if (!popup || popup.closed) return null;
  return popup;
}

/** Sends the window to `goUrl`, an address of this host that leads to the app. */
export function sendPopup(popup, goUrl) {
  const target = new URL(goUrl, location.origin);
  if (target.origin !== location.origin) throw new Error('a sign-in must begin on this host');
  popup.opener = null;
  popup.location.replace(target.href);
}

/** Calls `onClosed` once when the window seems closed and stayed so for a moment. Returns a function that stops it. */
export function watchClosed(popup, onClosed) {
  let seen = 0;
  const timer = setInterval(() => {
    seen = popup.closed ? seen + 1 : 0;
    if (seen >= 4) { clearInterval(timer); onClosed(); }
  }, 500);
  return () => clearInterval(timer);
}

const KEY = 'keyport-redirect';
const FOLLOWED = 'keyport-flow';

/** Remembers in this tab which sign-in is under way in another window, for when this page is loaded anew. */
export function rememberFlow(what) {
  try { sessionStorage.setItem(FOLLOWED, JSON.stringify({ ...what, at: Date.now() })); } catch { /* private mode: the person begins again */ }
}

export function forgetFlow() {
  try { sessionStorage.removeItem(FOLLOWED); } catch { /* as above */ }
}

/** Remembers in this tab what was being connected, before the tab itself goes to the app. */
export function rememberRedirect(what) {
  try { sessionStorage.setItem(KEY, JSON.stringify({ ...what, at: Date.now(), back: location.pathname })); } catch { /* private mode: the server still knows */ }
}

/** What this tab was connecting when it left or was loaded anew, once; null if nothing or if it was more than 15 minutes ago. */
export function takeRedirect() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? sessionStorage.getItem(FOLLOWED));
    sessionStorage.removeItem(KEY);
    sessionStorage.removeItem(FOLLOWED);
    return kept && Date.now() - kept.at < 15 * 60 * 1000 ? kept : null;
  } catch { return null; }
}

/** The same without taking it. */
export function peekRedirect() {
  try { return JSON.parse(sessionStorage.getItem(KEY)); } catch { return null; }
}
