// What a provider is written with: requests, answers and failures. Nothing in here needs a sandbox, so a provider is
// tested with `node --test` (see testing.js).
//
// A provider is an object: `check(host)`, and as far as the manifest says `code: true` also `actions` and `triggers`, each
// a function by its name. `host` gives everything that the outside world is. A provider never sees a credential: the
// host attaches it to the requests that the manifest allows.

/**
 * What went wrong, by what follows from it. Throw one; the host acts on it, so choose the weakest that is true.
 * Anything else that is thrown is a bug of the provider and is reported as one.
 */
export class Failure extends Error {
  /**
   * @param {import("./index.d.ts").Means} means
   * @param {string} say one sentence for the person; no secrets, no raw answer of the app
   * @param {{ code?: string, retryAfterMs?: number | null, data?: unknown }} [more]
   */
  constructor(means, say, { code = "", retryAfterMs = null, data = null } = {}) {
    super(say);
    this.name = "Failure";
    this.means = means;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.data = data;
  }
}

/** A path with a query, every value escaped; `undefined` and `null` are left out. */
export function path(base, query = {}) {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? base : `${base}${base.includes("?") ? "&" : "?"}${pairs.join("&")}`;
}

/** An answer of the app. Any status is an answer. */
export class Answer {
  constructor(status, headers, text) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  /** The first value of a header, by name in any case. */
  header(name) {
    const found = this.headers.find(([known]) => known.toLowerCase() === name.toLowerCase());
    return found === undefined ? null : found[1];
  }

  /** The body as a value. An error page in the place of JSON is the app's fault. */
  json() {
    try {
      return JSON.parse(this.text.replace(/^\uFEFF/, ""));
    } catch {
      throw new Failure("provider-down", "the app's answer is not in the form that it documents", {
        code: "unexpected_answer",
      });
    }
  }

  /** Itself if its status is 2xx; else it throws what its status usually means. */
  success() {
    const { status } = this;
    if (status >= 200 && status < 300) return this;
    const seconds = Number.parseInt(this.header("retry-after") ?? "", 10);
    const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 86_400) * 1000 : null;
    const [means, say] = meaning(status);
    throw new Failure(means, say, { retryAfterMs });
  }
}

function meaning(status) {
  if (status === 401) return ["needs-reconnect", "the app no longer accepts this sign-in"];
  if (status === 403) return ["missing-scope", "this sign-in lacks a right that is needed here"];
  if (status === 404 || status === 410) return ["not-found", "the app does not have what was asked for"];
  if (status === 429) return ["rate-limited", "the app asks to slow down; try again later"];
  if (status === 408 || status === 425 || status >= 500) {
    return ["provider-down", "the app has a problem of its own; try again later"];
  }
  if (status >= 400) return ["invalid-input", "the app did not accept what was sent"];
  return ["other", "the app answered with an unusual status"];
}

/**
 * What the outside world is to a provider. `calls` are the host's own functions: those of a component, or a test's.
 */
export class Host {
  constructor(calls) {
    this.calls = calls;
  }

  /** Sends a request, with the credential attached by the host, and waits for the whole answer. */
  send({ method = "GET", url, headers = {}, body = null }) {
    const { status, headers: came, text } = this.calls.send({
      method,
      url,
      headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
      body,
    });
    return new Answer(status, came, text);
  }

  /** A GET. */
  get(url, query = {}) {
    return this.send({ url: path(url, query) });
  }

  /** A POST of JSON. */
  post(url, value) {
    return this.send({
      method: "POST",
      url,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(value),
    });
  }

  /** The manifest's parts `api`, `test`, `actions` and `triggers`. */
  get manifest() {
    return JSON.parse(this.calls.manifest());
  }

  /** A public field or capture of the connection, or `null`; `account.id` and `account.label` once known. */
  value(name) {
    return this.calls.value(name);
  }

  /** A public field or capture that must be there. */
  required(name) {
    const value = this.value(name);
    if (value === null) {
      throw new Failure("other", `this connection has no value for ${name}`, { code: "missing_value" });
    }
    return value;
  }

  /** A placeholder for a secret that the manifest lists under `handles`. */
  handle(name) {
    return this.calls.handle(name);
  }

  /** A placeholder for what the host computes by a recipe of the manifest. */
  derive(recipe, args = {}) {
    return this.calls.derive(recipe, Object.entries(args));
  }

  /** Whether `given` is what a signing recipe makes of `message`. */
  verify(recipe, message, given, args = {}) {
    return this.calls.verify(recipe, Object.entries(args), message, given);
  }

  /** A line for the person who runs Keyport. */
  log(level, text, data = null) {
    this.calls.log(level, text, JSON.stringify(data ?? null));
  }

  /** The time, in milliseconds since 1970 (UTC). */
  now() {
    return this.calls.now();
  }
}
