// A scripted host, so that a provider can be tested with `node --test`, without a sandbox. Answers are given in the order in
// which they were scripted; what was asked is kept. It attaches nothing and refuses nothing: what the real host refuses is
// tested with the real host (`keyport test`).

import { Failure, Host } from "./index.js";

/** A host that answers what it was told to answer. */
export class FakeHost extends Host {
  constructor({ manifest = {}, values = {}, now = 0 } = {}) {
    const answers = [];
    const sent = [];
    const lines = [];
    super({
      send(request) {
        sent.push({ ...request, body: request.body === null ? null : String(request.body) });
        const answer = answers.shift();
        if (answer === undefined) throw new Failure("other", "the test scripted no further answer", { code: "no_answer" });
        return answer;
      },
      manifest: () => JSON.stringify(manifest),
      value: (name) => values[name] ?? null,
      handle: (name) => `handle:${name}`,
      derive: (recipe, args) => `derived:${recipe}:${args.map((pair) => pair.join("=")).join(",")}`,
      verify(recipe, args, message, given) {
        return this.derive(recipe, [...args, ["message", message]]) === given;
      },
      log: (level, text) => lines.push(`${level}: ${text}`),
      now: () => now,
    });
    this.answers = answers;
    /** What was sent, in order. */
    this.sent = sent;
    /** What was logged, in order. */
    this.lines = lines;
  }

  /** The next answer. A value is JSON, a text is sent as it is. */
  answer(status, body = null, headers = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.answers.push({ status, headers: Object.entries(headers), text });
    return this;
  }
}
