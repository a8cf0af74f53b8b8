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
   * `popup`: a second window. `redirect`: this tab; the promise never settles, and the browser comes back to the session's
   * `return_url` with `session` and `code` (or `error=cancelled`) appended. If not said: `redirect` below 640 px and in an
   * installed web app, where a second window is lost, else `popup`.
   */
  mode?: 'popup' | 'redirect';
}

/** What happens in the connect window. For your own display and counting: only what your backend redeems is a proof. */
interface KeyportEvent {
  /** The version of these events. */
  readonly v: 1;
  readonly type:
    /** The window is there. */
    | 'opened'
    /** The person has chosen an app, or you have: `app`. */
    | 'app_selected'
    /** The person has sent their details, or goes to the app: `app`, `method`. */
    | 'submitted'
    /** The app's own page is open. */
    | 'oauth_opened'
    /** The app has sent the person back. */
    | 'oauth_returned'
    /** The app says who they are. */
    | 'test_passed'
    /** The account waits for your backend: `connection_id`. */
    | 'connected'
    /** It did not work, and why: `code`. They may try again. */
    | 'failed'
    /** Nothing more will come. */
    | 'closed';
  /** The sign-in that it is about, once there is one. */
  readonly flow: string | null;
  readonly app?: string;
  readonly method?: string;
  readonly connection_id?: string;
  readonly code?: string;
}

interface KeyportPickOptions extends KeyportSessionOptions {
  /** Go straight to this app, if the session allows it. To hold the person to it, name it in the session's `apps`. */
  app?: string;
  /** Is told what happens in the window; not with `mode: 'redirect'`, where this page is gone. */
  onEvent?: (event: KeyportEvent) => void;
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
