/** Types of connect.js, a classic script that defines the global `Keyport`. */

/** Why nothing was connected. */
type KeyportErrorCode =
  /** The window was closed before anything was connected. */
  | 'closed'
  /** The browser blocked the window: call it directly in a click, or use `mode: 'redirect'`. */
  | 'blocked'
  /** The session's link was used already or is older than a minute. */
  | 'expired'
  /** The person cancelled. */
  | 'cancelled'
  /** The options can't be used; the message says why. */
  | 'invalid';

interface KeyportError extends Error {
  readonly name: 'KeyportError';
  readonly code: KeyportErrorCode;
}

interface KeyportSessionOptions {
  /** The `url` of a session that your backend made just now. Give this or `session`. */
  session_url?: string;
  /** Fetches such a URL; the window opens first, so it may take its time. Called once. */
  session?: () => Promise<string> | string;
  /**
   * `popup` (default): a second window. `redirect`: this tab; the promise never settles, and the browser comes back to the
   * session's `return_url` with `session` and `code` (or `error=cancelled`) appended.
   */
  mode?: 'popup' | 'redirect';
}

interface KeyportPickOptions extends KeyportSessionOptions {
  /** Go straight to this app, if the session allows it. To hold the person to it, name it in the session's `apps`. */
  app?: string;
  /** For your own reading: what the pick is for is named by the session's `for`. */
  for?: string;
}

/** What your backend redeems at `POST /v1/sessions/{session}/complete` within two minutes. */
interface KeyportPicked {
  readonly session: string;
  readonly code: string;
}

declare const Keyport: {
  readonly version: 1;
  /** Where Keyport lives: the origin that this script was loaded from. */
  readonly origin: string;
  /** Lets the person choose one of their accounts or connect another one. Rejects with a `KeyportError`. */
  pick(options: KeyportPickOptions): Promise<KeyportPicked>;
  /** Opens the Apps page. Resolves when the person comes back to your page. Rejects with a `KeyportError`. */
  manage(options: KeyportSessionOptions): Promise<void>;
};
