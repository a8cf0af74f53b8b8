// Signing in to one app, from the choice of the way to the result. The same steps stand in the Apps page's dialog and in
// the connect window. The panel shows one of: form → progress → result | problem, and goes back from a problem to the
// form with everything still typed.

import { api } from './api.js';
import { chooseStep, deviceStep } from './connect-steps.js';
import { announce, button, el, fill, icon, notice, outside, problemNotice, spinner } from './dom.js';
import { followFlow, isFinal } from './events.js';
import { fieldSet } from './fields.js';
import { forgetFlow, openPopup, prefersSameTab, rememberFlow, rememberRedirect, sendPopup, watchClosed } from './popup.js';
import { DEVICE_STAGES, FORM_STAGES, METHOD_NOTES, OAUTH_STAGES, nextStep, sentence } from './words.js';

/**
 * `app`: AppView. `connection`: sign this one in again (same id), else null. `onConnected(flow)` runs when the server says
 * that it worked; what it returns is shown. `onCancel()` is what Cancel does. `cancelLabel` names it. `tell(type, details)` is
 * told what happens, for whoever opened this window.
 */
export function connectPanel({ app, connection = null, onConnected, onCancel, cancelLabel = 'Cancel', tell = () => {} }) {
  const node = el('div', { class: 'panel', tabindex: -1 });
  const methods = orderedMethods(app, connection);
  const shared = { method: methods.find((method) => method.available) ?? methods[0], forms: new Map() };
  let stopFollowing = () => {};
  let stopWatching = () => {};
  let working = false;

  // ---- the form ----

  function showForm(problem = null, strayErrors = []) {
    working = false;
    stopFollowing();
    stopWatching();
    if (!methods.some((method) => method.available)) { showUnavailable(); return; }
    const area = el('div', { class: 'stack' });
    const trouble = el('div', {}, problem && problemNotice(problem), strayErrors.map((say) => notice('bad', el('p', {}, say))));
    const form = el('form', { novalidate: true, on: { submit: (event) => { event.preventDefault(); submit(); } } },
      connection && el('p', { class: 'muted' }, `“${connection.title}” keeps its name and everything that uses it.`),
      methods.length > 1 && methodPicker(area),
      area,
      trouble,
      el('div', { class: 'buttons end' },
        onCancel && button(cancelLabel, { testid: 'cancel', onClick: onCancel }),
        button('', { kind: 'primary', type: 'submit', testid: 'submit' })));
    shared.form = form;
    shared.trouble = trouble;
    fill(node, overrideNote(), form);
    showMethod(area);
  }

  function methodPicker(area) {
    return el('fieldset', { class: 'methods' }, el('legend', {}, 'How do you want to sign in?'),
      methods.map((method) => {
        const input = el('input', { type: 'radio', name: 'method', value: method.id, disabled: !method.available, checked: method === shared.method,
          on: { change: () => { shared.method = method; fill(shared.trouble); showMethod(area); } } });
        const note = method.available ? METHOD_NOTES[method.device ? 'device' : method.kind]?.(app.name) : sentence(method.why_not ?? 'Not set up here yet');
        return el('label', { class: 'method', testid: `method-${method.id}` }, input, el('b', {}, method.label), note && el('span', { class: 'note' }, note));
      }));
  }

  function fieldsOf(method) {
    // Kept per method: going to another way and back loses nothing that was typed.
    if (!shared.forms.has(method.id)) {
      const seen = new Set();
      const list = [...app.fields, ...method.fields].filter((field) => !seen.has(field.id) && seen.add(field.id));
      shared.forms.set(method.id, fieldSet(list));
    }
    return shared.forms.get(method.id);
  }

  function showMethod(area) {
    const method = shared.method;
    const fields = fieldsOf(method);
    fill(area,
      fields.node,
      method.redirects && !method.device && el('p', { class: 'muted small' }, prefersSameTab()
        ? `You go to ${app.name} to sign in and come back here by yourself.`
        : `A window of ${app.name} opens. Sign in there and allow the access; this page notices when you are done.`),
      !method.redirects && app.links?.docs && fields.empty && outside(app.links.docs, `${app.name}’s documentation`));
    fill(shared.form.querySelector('[type=submit]'), method.device ? 'Get a code' : method.redirects ? `Continue to ${app.name}` : connection ? 'Sign in again' : 'Connect');
  }

  function showUnavailable() {
    const why = methods.map((method) => method.why_not).find(Boolean);
    fill(node, notice('warn', el('p', {}, why ? sentence(why) : `${app.name} is not set up here yet.`), el('p', {}, nextStep('app_not_configured'))),
      onCancel && el('div', { class: 'buttons end' }, button(cancelLabel, { testid: 'cancel', onClick: onCancel })));
  }

  const overrideNote = () => app.origin_override
    && notice('warn', el('p', { testid: 'origin-override' }, `Test set-up: requests to ${app.name} really go to ${app.origin_override}.`));

  // ---- sending it ----

  function request() {
    return {
      app: app.id,
      method: shared.method.id,
      fields: fieldsOf(shared.method).values(),
      ...(connection ? { connection_id: connection.id } : {}),
    };
  }

  function submit() {
    if (working || !fieldsOf(shared.method).check()) return;
    tell('submitted', { app: app.id, method: shared.method.id });
    if (shared.method.device) { withCode(); return; }
    if (!shared.method.redirects) { run(FORM_STAGES, () => api.submit(request())); return; }
    if (prefersSameTab()) { continueHere(); return; }
    inPopup();
  }

  /** The code comes first: a window of the app would lie over it. The way there is a link beside it. */
  function withCode() {
    run(DEVICE_STAGES, async () => {
      const { flow } = await api.startOauth({ ...request(), mode: 'popup' });
      rememberFlow({ flow: flow.id, connection: connection?.id ?? null });
      return flow;
    });
  }

  /** Must run in a click: the window opens before anything is awaited. */
  function inPopup() {
    const popup = openPopup();
    if (!popup) { showBlocked(); return; }
    run(OAUTH_STAGES, async () => {
      try {
        const started = await api.startOauth({ ...request(), mode: 'popup' });
        rememberFlow({ flow: started.flow.id, connection: connection?.id ?? null });
        sendPopup(popup, started.go_url);
        tell('oauth_opened', { flow: started.flow.id });
        return started.flow;
      } catch (error) {
        popup.close();
        throw error;
      }
    }, popup);
  }

  async function continueHere() {
    if (working) return;
    working = true;
    try {
      const started = await api.startOauth({ ...request(), mode: 'redirect' });
      const target = new URL(started.go_url, location.origin);
      rememberRedirect({ flow: started.flow.id, app: app.id, connection: connection?.id ?? null });
      location.assign(target.href);
    } catch (error) {
      refused(error);
    }
  }

  function showBlocked() {
    announce('The browser blocked the window.');
    tell('failed', { code: 'popup_blocked' });
    fill(node,
      notice('warn', el('p', { testid: 'popup-blocked' }, 'The browser did not let a window open.'), el('p', {}, nextStep('popup_blocked'))),
      el('div', { class: 'buttons end' },
        button('Back', { testid: 'back', onClick: () => showForm() }),
        button('Open again', { sign: 'window', testid: 'open-again', onClick: inPopup }),
        button('Continue in this tab', { kind: 'primary', testid: 'continue-here', onClick: continueHere })));
    node.querySelector('.primary').focus();
  }

  function refused(error) {
    if (error.status === 401) return;
    tell('failed', { code: error.code });
    showForm();
    const known = Object.keys(error.fields ?? {}).length > 0;
    const stray = known ? fieldsOf(shared.method).showErrors(error.fields) : [];
    if (!known) { fill(shared.trouble, problemNotice(error)); node.querySelector('[type=submit]')?.focus(); }
    else if (stray.length) fill(shared.trouble, stray.map((say) => notice('bad', el('p', { testid: 'error' }, say))));
  }

  // ---- while it runs ----

  async function run(stages, begin, popup = null) {
    working = true;
    const view = progressView(stages, popup);
    view.show('started');
    try {
      const flow = await begin();
      follow(flow, stages, view, popup);
    } catch (error) {
      refused(error);
    }
  }

  function follow(flow, stages, view, popup) {
    shared.flow = flow.id;
    let away = stages === OAUTH_STAGES;
    const step = (state) => {
      if (shared.flow !== state.id) return;
      if (away && !['started', 'authorizing', 'cancelled'].includes(state.status)) {
        away = false;
        tell('oauth_returned', { flow: state.id });
      }
      if (isFinal(state.status)) { stopWatching(); popup?.close(); asked?.stop?.(); finish(state); return; }
      if (ask(state)) { stopWatching(); popup?.close(); return; }
      view.show(state.status, state.error);
    };
    let asked = null;
    // A question stays as it stands until the server asks another one: what the person has marked is not lost.
    function ask(state) {
      const question = state.choose ?? state.device ?? null;
      const key = question && JSON.stringify(question);
      if (asked && asked.key === key) return true;
      asked?.stop?.();
      if (!question) {
        if (asked) view.again();
        asked = null;
        return false;
      }
      const leave = () => { asked?.stop?.(); cancelFlow(); showForm(); };
      const made = state.choose
        ? chooseStep({ flow: state.id, choose: state.choose, appName: app.name, onStartOver: leave, onCancel: leave,
          onChosen: (after) => { asked = null; view.again(); step(after); } })
        : deviceStep({ device: state.device, appName: app.name, onCancel: leave });
      asked = { ...made, key };
      fill(node, overrideNote(), made.node);
      made.focus();
      return true;
    }
    if (isFinal(flow.status)) { step(flow); return; }
    step(flow);
    stopFollowing = followFlow(flow.id, step, (error) => view.trouble(error.say));
    if (popup) stopWatching = watchClosed(popup, () => view.closed());
  }

  function progressView(stages, popup) {
    const list = el('ol', { class: 'progress' });
    const status = el('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite', testid: 'status' });
    const hint = el('div', { role: 'status' });
    const again = popup && button('Open again', { sign: 'window', testid: 'open-again', onClick: inPopup });
    const buttons = el('div', { class: 'buttons end' },
      again, button('Cancel', { testid: 'cancel-flow', onClick: () => { cancelFlow(); showForm(); } }));
    const put = () => { fill(node, overrideNote(), list, status, hint, buttons); node.focus(); };
    put();
    return {
      /** Comes back after a question. */
      again: put,
      show(current, problem = null) {
        const at = stages.findIndex(([statuses]) => statuses.includes(current));
        fill(list, stages.map(([, label], index) => stage(label(app.name), index < at ? 'done' : index === at ? 'now' : '')));
        status.textContent = at >= 0 ? `${stages[at][1](app.name)}…` : '';
        if (again) again.hidden = at > 0;
        if (problem) fill(hint, notice('warn', el('p', {}, sentence(problem.say))));
        else if (at > 0) fill(hint);
      },
      closed() {
        announce('The window seems to be closed.');
        fill(hint, notice('idle', el('p', { testid: 'closed-hint' }, 'The window seems to be closed. If you finished there, this page will notice in a moment.'),
          el('p', {}, 'If not, open it again.')));
      },
      trouble: (say) => fill(hint, notice('warn', el('p', {}, `${say} Still trying.`))),
    };
  }

  const stage = (label, state) => el('li', { class: state, 'aria-current': state === 'now' ? 'step' : null },
    el('span', {}, state === 'now' ? spinner() : state === 'done' ? icon('check') : el('span', { class: 'dot' })),
    el('span', {}, label, state === 'done' && el('span', { class: 'visually-hidden' }, ' – done')));

  function cancelFlow() {
    stopFollowing();
    stopWatching();
    const flow = shared.flow;
    shared.flow = null;
    working = false;
    forgetFlow();
    // The server ends unfinished flows by itself; telling it now only frees the person sooner.
    if (flow) api.cancelFlow(flow).catch(() => {});
  }

  // ---- the end ----

  async function finish(flow) {
    working = false;
    shared.flow = null;
    forgetFlow();
    if (flow.status === 'connected' || flow.status === 'awaiting_completion') {
      shared.done = true;
      tell('test_passed', { flow: flow.id });
      tell('connected', { flow: flow.id, connection_id: flow.connection_id });
      const shown = await onConnected(flow);
      if (shown) { fill(node, shown); (node.querySelector('.primary') ?? node).focus(); }
      return;
    }
    if (flow.status === 'cancelled') { showForm(); return; }
    const error = flow.error ?? { code: 'unknown', say: 'The sign-in did not work' };
    tell('failed', { flow: flow.id, code: error.code });
    announce(sentence(error.say));
    showForm({ say: sentence(error.say), next: nextStep(error.code), ref: error.ref ?? flow.id });
    node.querySelector('[type=submit]')?.focus();
  }

  showForm();
  return {
    node,
    dirty: () => !shared.done && (working || [...shared.forms.values()].some((form) => form.dirty())),
    focus: () => (shared.forms.get(shared.method?.id)?.empty === false ? fieldsOf(shared.method).focusFirst() : node.querySelector('[type=submit]')?.focus()),
    /** Shows a flow that was begun before this page was loaded. */
    resume(flowId) {
      working = true;
      const view = progressView(OAUTH_STAGES, null);
      view.show('exchanging');
      follow({ id: flowId, status: 'exchanging' }, OAUTH_STAGES, view, null);
    },
    /** Ends what is under way; for when the panel goes away. */
    leave: cancelFlow,
  };
}

/** OAuth first, then as the manifest has them. A sign-in again offers the way that was used first. */
function orderedMethods(app, connection) {
  const rank = (method) => (connection?.method === method.id ? 0 : method.redirects ? 1 : 2);
  return [...app.methods].sort((a, b) => rank(a) - rank(b));
}
