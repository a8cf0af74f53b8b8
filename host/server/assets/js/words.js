// Everything that the pages say about states, steps and times, in one place. No logic but choosing words.

/** How a connection stands: {tone, sign, label}. Paused comes first: it is the person's own choice. */
export function stateWords(connection) {
  if (connection.enabled === false && connection.state !== 'disconnected') return { tone: 'idle', sign: 'pause', label: 'Paused' };
  if (connection.state === 'connected' && connection.missing_scopes?.length) return { tone: 'warn', sign: 'alert', label: 'Connected in part' };
  return {
    connected: { tone: 'ok', sign: 'check', label: 'Connected' },
    failing: { tone: 'warn', sign: 'clock', label: 'Having trouble' },
    needs_reconnect: { tone: 'bad', sign: 'alert', label: 'Needs reconnecting' },
    disconnected: { tone: 'idle', sign: 'unplug', label: 'Disconnected' },
    pending: { tone: 'idle', sign: 'clock', label: 'Being connected' },
  }[connection.state] ?? { tone: 'idle', sign: 'info', label: connection.state };
}

/** The sentence under a row that explains its state, or null when there is nothing to explain. */
export function reasonWords(connection) {
  const say = connection.reason?.say;
  const lacks = connection.missing_scopes ?? [];
  if (connection.enabled && connection.state === 'connected' && lacks.length) {
    return `${say ? `${sentence(say)} ` : ''}${connection.app_name} did not grant: ${lacks.join(', ')}. What needs it will not work until you allow it there.`;
  }
  if (connection.state === 'disconnected') return say ? sentence(say) : 'The sign-in was removed. The name is kept, so that you can connect it again.';
  if (connection.enabled === false) return 'Paused by you. The sign-in is kept; nothing uses it until you resume.';
  if (connection.state === 'failing') return `${sentence(say ?? 'The app does not answer as it should')} This usually mends itself; nothing is needed from you.`;
  if (connection.state === 'needs_reconnect') return `${sentence(say ?? 'The app no longer accepts this sign-in')} Sign in again to go on; the name and everything that uses it stay.`;
  if (connection.state === 'pending') return say ? sentence(say) : 'Not finished yet.';
  return null;
}

/** When the app ends the sign-in whatever is done: {label, day}, or null where it does not say. */
export function endOfSignIn(iso) {
  if (!iso) return null;
  const at = new Date(iso);
  return {
    label: at.getTime() > Date.now() ? 'Sign-in ends on' : 'Sign-in ended on',
    day: at.toLocaleDateString([], { dateStyle: 'long' }),
  };
}

/** Sentences from the server begin in lower case and have no full stop (they are errors first); on a page they have both. */
export function sentence(text) {
  const trimmed = String(text).trim();
  const first = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

/** The steps of a test, in their order. */
export const TEST_STEPS = [
  ['fields', 'Details'],
  ['token', 'Sign-in'],
  ['request', 'Request to the app'],
  ['account', 'Account'],
];

/** What the way to sign in is called under its label. */
export const METHOD_NOTES = {
  oauth2: (app) => `You sign in at ${app} and allow access there. No password is typed here.`,
  device: (app) => `You get a short code here and type it at ${app}, on this or on another device.`,
  api_key: () => 'You paste a key that the app gave you.',
  bearer: () => 'You paste a token that the app gave you.',
  basic: () => 'You type a user name and a password or key.',
};

/** The stages of signing in, as a list that fills up: [statuses that mean "here", label]. */
export const OAUTH_STAGES = [
  [['started', 'authorizing'], (app) => `Sign in at ${app}`],
  [['exchanging'], (app) => `Receive the access from ${app}`],
  [['choosing', 'testing'], () => 'Test the connection'],
];
export const DEVICE_STAGES = [
  [['started', 'authorizing'], (app) => `Get a code from ${app}`],
  [['exchanging'], (app) => `Receive the access from ${app}`],
  [['testing'], () => 'Test the connection'],
];
export const FORM_STAGES = [
  [['started', 'authorizing', 'exchanging'], () => 'Check the details'],
  [['testing'], () => 'Test the connection'],
];

const NEXT = {
  popup_blocked: 'Allow windows for this site, or continue in this tab.',
  denied: 'Start again and allow the access, or choose another account.',
  access_denied: 'Start again and allow the access, or choose another account.',
  wrong_browser: 'Begin again, and finish in the browser in which you began.',
  bad_credentials: 'Check what you typed, or make a new key in the app.',
  needs_reconnect: 'Check what you typed, or make a new key in the app.',
  missing_scope: 'Sign in again and allow everything that is asked for.',
  insufficient_scope: 'Sign in again and allow everything that is asked for.',
  app_not_approved: 'Ask an administrator of the app to allow this connection.',
  provider_down: 'Wait a few minutes and try again.',
  rate_limited: 'Wait a few minutes and try again.',
  flow_expired: 'Begin again.',
  flow_ended: 'Begin again.',
  expired: 'Begin again; it has to be finished within ten minutes.',
  interrupted: 'Begin again.',
  expired_link: 'Go back to where you came from and open the page anew.',
  link_invalid: 'Go back to where you came from and open the page anew.',
  session_over: 'Go back to where you came from and open the page anew.',
  session_required: 'Go back to where you came from and open the page anew.',
  already_used: 'Begin again.',
  unknown_state: 'Go back to the page where you began and look there how it ended, or begin again.',
  duplicate_parameter: 'Begin again.',
  missing_code: 'Begin again.',
  code_refused: 'Begin again.',
  capture_missing: 'Begin again; if it stays, tell the people who run this service, and quote the reference.',
  capture_not_allowed: 'Tell the people who run this service, and quote the reference.',
  mixed_up: 'Begin again. If it happens twice, tell the people who run this service, and quote the reference.',
  wrong_issuer: 'Begin again. If it happens twice, tell the people who run this service, and quote the reference.',
  callback_not_signed: 'Begin again. If it happens twice, tell the people who run this service, and quote the reference.',
  token_answer_unreadable: 'Try again in a few minutes; if it stays, tell the people who run this service, and quote the reference.',
  app_refused: 'Begin again, or ask an administrator of the app whether it allows this connection.',
  admin_consent: 'Ask an administrator of the app to allow this connection, then begin again.',
  wrong_owner: 'Go back to where you came from, sign in there as yourself, and begin again.',
  not_taken_over: 'Go back to where you came from and begin again.',
  revoked: 'Sign in again.',
  refresh_interrupted: 'Sign in again.',
  not_configured: 'Tell the people who run this service that this app is not set up yet.',
  misconfigured: 'Tell the people who run this service, and quote the reference.',
  method_not_available: 'Use another way to sign in, or tell the people who run this service.',
  client_refused: 'Tell the people who run this service, and quote the reference.',
  timeout: 'Wait a few minutes and try again.',
  busy: 'Wait a moment and try again.',
  app_not_configured: 'Tell the people who run this service that this app is not set up yet.',
  client_not_for_this_host: 'Use another way to sign in, or enter an OAuth client of your own.',
  network: 'Check your internet connection and try again.',
  rate_limit: 'Wait a moment and try again.',
};

/** What to do after an error with this code, or null. */
export const nextStep = (code) => NEXT[code] ?? null;

/** What to do, unless what was said says it already; else null. */
export function further(say, next) {
  if (!next) return null;
  const plain = (text) => String(text).toLowerCase().replace(/[.!?…]+$/, '').replaceAll('start again', 'begin again');
  return plain(say).includes(plain(next)) ? null : next;
}

const UNITS = [['year', 31536000], ['month', 2592000], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** "5 minutes ago"; "just now" within a minute. */
export function ago(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (!Number.isFinite(seconds)) return '';
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return 'just now';
}

/** "84 ms", "1.3 s". */
export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** Abbreviations among the words of categories. */
const CAPITALS = new Set(['ai', 'api', 'bi', 'cad', 'cdn', 'cms', 'cpq', 'crm', 'dns', 'erp', 'hr', 'iot', 'it', 'lms', 'pdf', 'plm', 'pos', 'seo', 'sms', 'ui']);

/** "project-management" → "Project management", "ai" → "AI" */
export const categoryName = (id) => {
  const words = String(id).split(/[-_ ]+/).filter(Boolean).map((word) => (CAPITALS.has(word) ? word.toUpperCase() : word));
  const text = words.join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
};
