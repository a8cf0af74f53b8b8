// Between a provider and the contract (wit/): JSON in and out, failures to their cases. Only a component can import this.

import http from "keyport:provider/http@1.0.0";
import context from "keyport:provider/context@1.0.0";
import log from "keyport:provider/log@1.0.0";
import { Failure, Host } from "./index.js";
import secrets from "./secrets.js";
import { decode, encode } from "./utf8.js";

/** What the host refused: down if trying again may help, else a fault of the component or its manifest. */
function asked(call) {
  try {
    return call();
  } catch (thrown) {
    const note = noteOf(thrown);
    if (note === null) throw thrown;
    let transient = false;
    try {
      transient = JSON.parse(note.data)?.transient === true;
    } catch {
      // No data is no promise.
    }
    throw new Failure(transient ? "provider-down" : "other", note.say, { code: note.code });
  }
}

/** The note of a refusal, as it comes: by itself, or as the payload of an error. */
function noteOf(thrown) {
  for (const one of [thrown, thrown?.payload, thrown?.val, thrown?.cause]) {
    if (one !== null && typeof one === "object" && typeof one.code === "string" && typeof one.say === "string") {
      return one;
    }
  }
  return null;
}

const calls = {
  send({ method, url, headers, body }) {
    const bytes = typeof body === "string" ? encode(body) : body;
    const answer = asked(() => http.send({ method, url, headers, body: bytes, options: [] }));
    return { status: answer.status, headers: answer.headers, text: decode(answer.body) };
  },
  manifest: () => context.manifest(),
  value: (name) => context.value(name) ?? null,
  handle: (name) => asked(() => secrets.handle(name)),
  derive: (recipe, args) => asked(() => secrets.derive(recipe, args)),
  verify: (recipe, args, message, given) =>
    asked(() => secrets.verify(recipe, args, encode(message), given)),
  log: (level, text, data) => log.write(level, text, data),
  now: () => Date.now(),
};

/** Runs a provider's function; what it throws becomes a case of the contract's `failure`. */
function answered(work) {
  try {
    return work(new Host(calls));
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    throw {
      tag: thrown.means,
      val: {
        code: thrown.code,
        say: thrown.message,
        retryAfterMs: thrown.retryAfterMs,
        data: JSON.stringify(thrown.data ?? null),
      },
    };
  }
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("invalid-input", "the input is not JSON");
  }
}

function named(all, what, name) {
  const found = Object.hasOwn(all ?? {}, name) ? all[name] : undefined;
  if (found === undefined) {
    throw new Failure("not-found", `this app has no ${what} ${name}`, { code: `no_such_${what}` });
  }
  return found;
}

const json = (value) => JSON.stringify(value ?? null);

/**
 * The exports of a component, by the interfaces of the contract. Export those that the manifest asks for:
 * `export const { connection, actions, triggers } = component(provider);`
 */
export function component(provider) {
  return {
    connection: {
      check: () =>
        answered((host) => {
          const { id, label, extra = {} } = provider.check(host);
          return { id: String(id), label: String(label), extra: json(extra) };
        }),
    },
    actions: {
      run: (action, input) =>
        answered((host) => json(named(provider.actions, "action", action)(host, read(input)))),
    },
    triggers: {
      poll: (trigger, input, cursor) =>
        answered((host) => {
          const from = cursor === null || cursor === undefined ? null : read(cursor);
          const page = named(provider.triggers, "trigger", trigger)(host, read(input), from);
          return { events: page.events.map(json), cursor: json(page.cursor), more: page.more === true };
        }),
    },
    lifecycle: {
      connected: () => answered((host) => json(provider.connected?.(host) ?? {})),
      disconnecting: () => answered((host) => json(provider.disconnecting?.(host) ?? {})),
    },
    exchange: {
      run: (step, input) =>
        answered((host) => {
          if (provider.exchange === undefined) {
            throw new Failure("not-found", `this app has no sign-in step ${step}`, { code: "no_such_step" });
          }
          return json(provider.exchange(host, step, read(input)));
        }),
    },
  };
}
