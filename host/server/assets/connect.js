/*
 * connect.js – opens Keyport's connect window from your page and hands you the result.
 *
 *   <script src="https://keyport.example/connect.js"></script>
 *   button.onclick = async () => {
 *     const { session, code } = await Keyport.pick({ session: () => fetch('/my/session', { method: 'POST' }).then(r => r.json()).then(s => s.url) });
 *     await fetch('/my/complete', { method: 'POST', body: JSON.stringify({ session, code }) });   // your backend redeems it
 *   };
 *
 * Call it in the click itself: a window that opens later is blocked by browsers. Your backend makes the session
 * (POST /v1/sessions with your page's exact origin in `origins`) and redeems the code (POST /v1/sessions/{id}/complete with
 * your signed-in user as the owner). The code is of no use to a browser, and an event in a browser is never a proof.
 *
 * On a phone (below 640 px) and in an installed web app there is no second window: the same goes on in this tab and comes back
 * to the session's `return_url`, unless you say `mode: 'popup'`. `onEvent` is told what happens in the window, for your own
 * display and counting.
 *
 * What it trusts: messages from the window that it opened and from Keyport's own origin (where this script came from), and
 * nothing else; it sends to that origin only. If your page sends Cross-Origin-Opener-Policy, it must be
 * `same-origin-allow-popups` (or `unsafe-none`): `same-origin` cuts the tie to every window that you open.
 * Types: connect.d.ts beside this file.
 */
(function () {
  'use strict';

  var origin = new URL(document.currentScript.src).origin;
  var NAMES = { closed: 'the window was closed before anything was connected', blocked: 'the browser blocked the window; call this directly in a click, or use mode: "redirect"', expired: 'the session link has expired or was used; make a new session', cancelled: 'the person cancelled', invalid: 'the options are not usable' };

  /* What the window tells, and what of it is passed on. */
  var EVENTS = ['opened', 'app_selected', 'submitted', 'oauth_opened', 'oauth_returned', 'test_passed', 'connected', 'failed', 'closed'];
  var DETAILS = ['app', 'method', 'connection_id', 'code'];

  function prefersSameTab() {
    return matchMedia('(max-width: 639px)').matches || matchMedia('(display-mode: standalone)').matches;
  }

  function tellEvent(options, message) {
    if (typeof options.onEvent !== 'function' || EVENTS.indexOf(message.type) < 0) return;
    var event = { v: 1, type: message.type, flow: typeof message.flow === 'string' ? message.flow : null };
    DETAILS.forEach(function (name) { if (typeof message[name] === 'string') event[name] = message[name]; });
    /* A fault in the page's own code must not stop the window's. */
    try { options.onEvent(Object.freeze(event)); } catch (error) { setTimeout(function () { throw error; }); }
  }

  function KeyportError(code, detail) {
    var error = new Error('keyport: ' + (detail || NAMES[code]));
    error.name = 'KeyportError';
    error.code = code;
    return error;
  }

  function sessionLink(text) {
    var url;
    try { url = new URL(text); } catch (e) { throw KeyportError('invalid', 'the session URL is not a URL'); }
    if (url.origin !== origin || url.pathname !== '/open') throw KeyportError('invalid', 'the session URL must be one that ' + origin + ' gave out');
    return url;
  }

  function decorate(url, options) {
    url.searchParams.set('origin', location.origin);
    if (options.app) url.searchParams.set('app', options.app);
    return url.href;
  }

  function openWindow(address) {
    var width = 560, height = 760;
    var left = Math.max(0, window.screenX + (window.outerWidth - width) / 2);
    var top = Math.max(0, window.screenY + (window.outerHeight - height) / 2);
    var name = 'keyport' + Array.from(crypto.getRandomValues(new Uint32Array(2))).join('');
    var popup = window.open(address, name, 'popup,width=' + width + ',height=' + height + ',left=' + Math.round(left) + ',top=' + Math.round(top));
    return popup && !popup.closed ? popup : null;
  }

  /* The address of the session, from either option, as a promise. */
  function linkOf(options) {
    return Promise.resolve(options.session ? options.session() : options.session_url).then(sessionLink);
  }

  function redirect(options) {
    return linkOf(options).then(function (url) {
      if (options.app) url.searchParams.set('app', options.app);
      location.assign(url.href);
      return new Promise(function () {});
    });
  }

  function check(options) {
    if (!options || (!options.session && !options.session_url)) throw KeyportError('invalid', 'give session_url, or session: a function that fetches it');
  }

  function pick(options) {
    try { check(options); } catch (error) { return Promise.reject(error); }
    if ((options.mode || (prefersSameTab() ? 'redirect' : 'popup')) === 'redirect') return redirect(options);

    /* With a function, the window opens first and waits: the link is not there yet. */
    var waiting = Boolean(options.session);
    var address;
    try {
      address = waiting ? origin + '/connect/wait#' + new URLSearchParams({ origin: location.origin }) : decorate(sessionLink(options.session_url), options);
    } catch (error) { return Promise.reject(error); }
    var popup = openWindow(address);
    if (!popup) return Promise.reject(KeyportError('blocked'));

    return new Promise(function (resolve, reject) {
      var timer = null;
      var closedFor = 0;
      var ready = false;
      var link = null;

      function settle(act, value) {
        clearInterval(timer);
        window.removeEventListener('message', hear);
        tellEvent(options, { type: 'closed' });
        act(value);
      }
      function handOver() {
        if (ready && link) popup.postMessage({ v: 1, type: 'session', url: link }, origin);
      }
      function hear(event) {
        if (event.origin !== origin || event.source !== popup) return;
        var message = event.data;
        if (!message || message.v !== 1) return;
        if (message.type === 'ready') { ready = true; handOver(); }
        if (message.type !== 'closed') tellEvent(options, message);
        if (message.type === 'completed') settle(resolve, { session: String(message.session), code: String(message.code) });
        if (message.type === 'cancelled' || message.type === 'expired') settle(reject, KeyportError(message.type));
      }
      window.addEventListener('message', hear);

      if (waiting) {
        linkOf(options).then(function (url) { link = decorate(url, options); handOver(); }, function (error) { popup.close(); settle(reject, error); });
      }
      /* The result may arrive a moment after the window is gone; only staying closed counts. */
      timer = setInterval(function () {
        closedFor = popup.closed ? closedFor + 1 : 0;
        if (closedFor >= 4) settle(reject, KeyportError('closed'));
      }, 400);
    });
  }

  function manage(options) {
    try { check(options); } catch (error) { return Promise.reject(error); }
    if ((options.mode || (prefersSameTab() ? 'redirect' : 'popup')) === 'redirect') return redirect(options);
    var popup = null;
    try {
      popup = openWindow(options.session ? origin + '/connect/wait#' + new URLSearchParams({ origin: location.origin }) : sessionLink(options.session_url).href);
    } catch (error) { return Promise.reject(error); }
    if (!popup) return Promise.reject(KeyportError('blocked'));

    return new Promise(function (resolve, reject) {
      /* The Apps page cuts the tie to its opener, so the person's return is what can be seen from here. */
      function back() { if (document.visibilityState === 'visible') { stop(); resolve(); } }
      function stop() { window.removeEventListener('focus', back); window.removeEventListener('message', hear); }
      function hear(event) {
        if (event.origin !== origin || event.source !== popup || !event.data || event.data.v !== 1) return;
        if (event.data.type === 'ready') linkOf(options).then(function (url) { popup.postMessage({ v: 1, type: 'session', url: url.href }, origin); }, function (error) { popup.close(); stop(); reject(error); });
        if (event.data.type === 'expired') { stop(); reject(KeyportError('expired')); }
      }
      window.addEventListener('message', hear);
      setTimeout(function () { window.addEventListener('focus', back); }, 1000);
    });
  }

  window.Keyport = Object.freeze({ version: 1, origin: origin, pick: pick, manage: manage });
})();
