// The server's word about what changed. One stream (server-sent events); while it is down, a slow tick instead.
// A flow is followed by asking the server for it again and again: messages only say *when* to ask, never *what* is so,
// because a message between windows can be forged, lost or late.

import { api } from './api.js';

const listeners = new Set();
let source = null;
let live = false;
let ticker = null;
let stopped = false;

/** Calls `listener({kind, id})` on each change; kind is `flow`, `connection` or `tick` (look for yourself). Returns the way out. */
export function subscribe(listener) {
  listeners.add(listener);
  if (!source) open();
  return () => listeners.delete(listener);
}

function tell(event) {
  for (const listener of [...listeners]) listener(event);
}

function open() {
  if (stopped) return;
  source = new EventSource('/page/events');
  source.onopen = () => {
    // What happened while nobody listened is not repeated.
    live = true;
    clearInterval(ticker);
    tell({ kind: 'tick' });
  };
  source.onmessage = (message) => {
    try { tell(JSON.parse(message.data)); } catch { tell({ kind: 'tick' }); }
  };
  source.onerror = () => {
    live = false;
    clearInterval(ticker);
    ticker = setInterval(() => { if (!document.hidden) tell({ kind: 'tick' }); }, 5000);
    // The browser gives up for good when the answer was not a stream (a proxy's error page, for one).
    // Asking for the session finds out whether it is over (then the page says so).
    if (source.readyState !== EventSource.CLOSED) return;
    api.session().catch(() => {});
    setTimeout(open, 10000);
  };
}

/** Stops listening for good (the session has ended). */
export function stopEvents() {
  stopped = true;
  clearInterval(ticker);
  source?.close();
  listeners.clear();
}

/** Where the windows of one flow nudge each other. The payload is a flow's id and nothing else. */
export const flowChannel = (flow) => new BroadcastChannel(`keyport-${flow}`);

const FINAL = ['awaiting_completion', 'connected', 'failed', 'cancelled'];
export const isFinal = (status) => FINAL.includes(status);

/**
 * Follows a flow until it ends. `onView(view)` gets each state once; `onTrouble(error)` an answer that could not be had
 * (following goes on). Returns a function that stops it.
 */
export function followFlow(flow, onView, onTrouble = () => {}) {
  let stopped = false;
  let asking = false;
  let again = false;
  let timer = null;
  let asked = 0;
  let last = null;
  const channel = flowChannel(flow);
  channel.onmessage = () => ask();
  const leave = subscribe((event) => { if (event.kind === 'tick' || event.id === flow) ask(); });

  function stop() {
    stopped = true;
    clearTimeout(timer);
    channel.close();
    leave();
  }

  async function ask() {
    if (stopped) return;
    if (asking) { again = true; return; }
    asking = true;
    clearTimeout(timer);
    try {
      const view = await api.flow(flow);
      if (stopped) return;
      const seen = JSON.stringify(view);
      if (isFinal(view.status)) stop();
      if (seen !== last) { last = seen; onView(view); }
    } catch (error) {
      if (stopped) return;
      if (error.status === 404) { stop(); onView({ id: flow, status: 'failed', error: { code: 'flow_expired', say: 'This sign-in has run out of time.' } }); return; }
      onTrouble(error);
    } finally {
      asking = false;
    }
    if (stopped) return;
    asked += 1;
    if (again) { again = false; ask(); return; }
    timer = setTimeout(ask, asked < 8 ? 1000 : live ? 5000 : 3000);
  }
  ask();
  return stop;
}
