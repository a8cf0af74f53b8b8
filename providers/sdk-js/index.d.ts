/** What follows from a failure. */
export type Means =
  | "needs-reconnect"
  | "missing-scope"
  | "rate-limited"
  | "provider-down"
  | "not-found"
  | "invalid-input"
  | "other";

/** Whose connection it is. */
export interface Account {
  /** Never changes for the same account. */
  id: string;
  /** What people know the account by. */
  label: string;
  /** More to show. */
  extra?: Record<string, string>;
}

/** What one poll found. */
export interface Page<Event = unknown, Cursor = unknown> {
  /** New events, oldest first. */
  events: Event[];
  /** Handed back at the next poll. */
  cursor: Cursor;
  /** Whether asking again at once would find more. */
  more?: boolean;
}

/** An app's own code. Each call runs in a fresh component: nothing that it keeps in memory survives. */
export interface Provider {
  /** The test call: proves that the connection works and says whose it is. It must only read. */
  check(host: Host): Account;
  /** What an automation can do, by the names that the manifest lists with `code: true`. */
  actions?: Record<string, (host: Host, input: any) => unknown>;
  /** What can start an automation. No cursor: the first poll. */
  triggers?: Record<string, (host: Host, input: any, cursor: any | null) => Page>;
  /** After connecting: public captures. */
  connected?(host: Host): Record<string, string>;
  /** Before the credentials are destroyed. */
  disconnecting?(host: Host): Record<string, string>;
  /** A step of an unusual sign-in. Secrets go in and come out as placeholders. */
  exchange?(host: Host, step: string, input: any): unknown;
}

/** What went wrong, by what follows from it. Throw one. */
export class Failure extends Error {
  constructor(
    means: Means,
    say: string,
    more?: { code?: string; retryAfterMs?: number | null; data?: unknown },
  );
  means: Means;
  code: string;
  retryAfterMs: number | null;
  data: unknown;
}

/** A path with a query, every value escaped. */
export function path(
  base: string,
  query?: Record<string, string | number | boolean | null | undefined>,
): string;

/** An answer of the app. */
export class Answer {
  constructor(status: number, headers: [string, string][], text: string);
  readonly status: number;
  readonly headers: [string, string][];
  readonly text: string;
  header(name: string): string | null;
  json(): any;
  success(): this;
}

/** The host's own functions. */
export interface Calls {
  send(request: { method: string; url: string; headers: [string, string][]; body: string | Uint8Array | null }): {
    status: number;
    headers: [string, string][];
    text: string;
  };
  manifest(): string;
  value(name: string): string | null;
  handle(name: string): string;
  derive(recipe: string, args: [string, string][]): string;
  verify(recipe: string, args: [string, string][], message: string, given: string): boolean;
  log(level: string, text: string, data: string): void;
  now(): number;
}

/** What the outside world is to a provider. */
export class Host {
  constructor(calls: Calls);
  send(request: {
    method?: string;
    url: string;
    headers?: Record<string, string | number>;
    body?: string | Uint8Array | null;
  }): Answer;
  get(url: string, query?: Record<string, string | number | boolean | null | undefined>): Answer;
  post(url: string, value: unknown): Answer;
  readonly manifest: any;
  value(name: string): string | null;
  required(name: string): string;
  handle(name: string): string;
  derive(recipe: string, args?: Record<string, string>): string;
  verify(recipe: string, message: string, given: string, args?: Record<string, string>): boolean;
  log(level: "debug" | "info" | "warn" | "error", text: string, data?: unknown): void;
  now(): number;
}
