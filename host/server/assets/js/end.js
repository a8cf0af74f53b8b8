// Where a sign-in comes back to. In a second window: nudge the page that waits (it asks the server; the message says only
// which flow) and close. In the same tab: go back to where the person was. Otherwise say how it ended, in our own words:
// nothing of what stands in the address is shown but a reference.

import { flowChannel } from './events.js';
import { button, el, plainPage } from './dom.js';
import { peekRedirect } from './popup.js';
import { nextStep } from './words.js';

const asked = new URL(location.href).searchParams;
const flow = /^flow_[A-Za-z0-9_-]{1,64}$/.test(asked.get('flow') ?? '') ? asked.get('flow') : null;
const code = /^[a-z_]{1,40}$/.test(asked.get('code') ?? '') ? asked.get('code') : null;
const ref = /^[A-Za-z0-9_.-]{1,64}$/.test(asked.get('ref') ?? '') ? asked.get('ref') : flow;
const outcome = asked.get('outcome') === 'refused' ? 'refused' : 'returned';
history.replaceState(null, '', location.pathname);

const kept = peekRedirect();
const backTo = kept && ['/apps', '/connect'].includes(kept.back) ? kept.back : null;

if (flow && backTo && kept.flow === flow) {
  location.replace(`${backTo}?flow=${encodeURIComponent(flow)}`);
} else {
  if (flow) {
    const channel = flowChannel(flow);
    channel.postMessage({ v: 1, flow });
    setTimeout(() => channel.close(), 1000);
  }
  const closing = [button('Close this window', { kind: 'primary', testid: 'close-window', onClick: () => window.close() })];
  if (outcome === 'refused') {
    plainPage({
      tone: 'bad', sign: 'alert', testid: 'callback-refused', title: 'This sign-in could not be finished',
      text: [nextStep(code) ?? 'Nothing was changed. Go back to the page where you began and try again there.', (ref || code) && ['Reference: ', el('code', {}, [code, ref].filter(Boolean).join(' '))]].filter(Boolean),
      actions: closing,
    });
    // With a flow, the page that waits shows the same and more.
    if (flow) setTimeout(() => window.close(), 150);
  } else {
    plainPage({ tone: 'ok', sign: 'check', testid: 'callback-returned', title: 'You can close this window', text: ['The page where you began goes on from here.'], actions: closing });
    setTimeout(() => window.close(), 150);
  }
}
