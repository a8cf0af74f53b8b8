import assert from "node:assert/strict";
import test from "node:test";

import { FakeHost } from "./keyport/testing.js";
import { provider } from "./provider.js";

const NOW = Date.parse("2026-01-02T03:04:05Z");

test("what was added before a refusal is told, and is not to be tried again as a whole", () => {
  const host = new FakeHost().answer(200, { id: 1, content: "a" }).answer(503, {});
  assert.throws(() => provider.actions.add_tasks(host, { texts: ["a", "b"] }), {
    means: "other",
    code: "partly_done",
    data: { tasks: [{ id: "1", content: "a" }] },
  });
});

test("a refusal of the first task is what it is", () => {
  const host = new FakeHost().answer(503, {});
  assert.throws(() => provider.actions.add_tasks(host, { texts: ["a"] }), { means: "provider-down" });
});

test("nobody polled for a year: the window is what Todoist answers for", () => {
  const host = new FakeHost({ now: NOW }).answer(200, { items: [], next_cursor: null });
  const page = provider.triggers.task_completed(host, {}, { since: "2025-01-01T00:00:00Z", seen: [] });
  assert.match(host.sent[0].url, /since=2025-10-14T03%3A04%3A05.000Z&until=2026-01-02T03%3A04%3A05.000Z/);
  assert.deepEqual(page.cursor, { since: "2025-01-01T00:00:00Z", seen: [] });
});

test("two tasks of one moment come once each", () => {
  const at = "2026-01-02T03:00:00Z";
  const items = [{ id: 1, content: "a", completed_at: at }, { id: 2, content: "b", completed_at: at }];
  const first = provider.triggers.task_completed(
    new FakeHost({ now: NOW }).answer(200, { items, next_cursor: null }),
    {},
    { since: at, seen: [] },
  );
  assert.equal(first.events.length, 2);
  const again = provider.triggers.task_completed(
    new FakeHost({ now: NOW }).answer(200, { items, next_cursor: null }),
    {},
    first.cursor,
  );
  assert.deepEqual(again.events, []);
});
