// A component that knows `fetch` and nothing else of the outside world.

const APP = "https://api.hostile.test";

async function told(answering) {
  const answer = await answering;
  return { status: answer.status, headers: [...answer.headers], body: await answer.text() };
}

/** What came of a request; a fetch that is refused rejects. */
async function tried(path, options) {
  try {
    return await told(fetch(path.startsWith("https:") ? path : `${APP}${path}`, options));
  } catch (error) {
    return { refused: error.name };
  }
}

const programs = {
  one: ({ path, options }) => tried(path, options),
  many: ({ paths }) => Promise.all(paths.map((path) => tried(path))),
  async pieces({ path }) {
    const answer = await fetch(`${APP}${path}`);
    const reader = answer.body.getReader();
    let pieces = 0;
    let text = "";
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { pieces, text: text + decoder.decode() };
      pieces += 1;
      text += decoder.decode(value, { stream: true });
    }
  },
};

export const connection = {
  async check() {
    const answer = await fetch(`${APP}/me`);
    if (!answer.ok) {
      const say = `the app answered ${answer.status}`;
      throw { tag: "provider-down", val: { code: "", say, retryAfterMs: undefined, data: "null" } };
    }
    const me = await answer.json();
    return { id: "1", label: me.name, extra: JSON.stringify({ seen: me }) };
  },
};

export const actions = {
  run: async (action, input) => JSON.stringify(await programs[action](JSON.parse(input))),
};

export const triggers = {
  poll: async (_trigger, input) => ({ events: [input], cursor: "null", more: false }),
};
