// @ts-check
// What Todoist can do (https://developer.todoist.com/api/v1/). The host attaches the token; there is none in here.

import { Failure } from "./keyport/index.js";

/** The most that Todoist gives in one page. */
const PAGE = 200;
/** Pages of one call: what does not fit says `more`. */
const PAGES = 5;
/** The oldest window that a poll asks for, in milliseconds: Todoist answers for three months at most. */
const WINDOW = 80 * 24 * 60 * 60 * 1000;

/** @typedef {import("./keyport/index.js").Host} Host */

const brief = ({ id, content }) => ({ id: String(id), content });

/** @param {Host} host */
function check(host) {
  const user = host.get("/user").success().json();
  if (user?.id === undefined) {
    throw new Failure("provider-down", "Todoist did not say whose token this is");
  }
  return { id: String(user.id), label: user.email ?? user.full_name ?? String(user.id) };
}

/** @param {Host} host */
function addTasks(host, { texts, project_id }) {
  const tasks = [];
  for (const content of texts) {
    const task = project_id === undefined ? { content } : { content, project_id };
    try {
      tasks.push(brief(host.post("/tasks", task).success().json()));
    } catch (failure) {
      if (!(failure instanceof Failure) || tasks.length === 0) throw failure;
      // What was done stays done, so the person must learn of it, and nothing may try the whole list again by itself.
      const means = failure.means === "provider-down" ? "other" : failure.means;
      throw new Failure(means, `${tasks.length} of ${texts.length} tasks were added; then: ${failure.message}`, {
        code: "partly_done",
        data: { tasks },
      });
    }
  }
  return { tasks };
}

/** @param {Host} host */
function listTasks(host, { project_id }) {
  const tasks = [];
  let cursor = null;
  for (let page = 0; page < PAGES; page += 1) {
    const answer = host.get("/tasks", { project_id, cursor, limit: PAGE }).success().json();
    tasks.push(...answer.results.map(brief));
    cursor = answer.next_cursor ?? null;
    if (cursor === null) break;
  }
  return { tasks, more: cursor !== null };
}

/**
 * Completed tasks of a window of time. Todoist's window includes its start, so what was seen at that very moment is kept
 * and left out; the window begins where the last event was, however long nobody polled.
 * @param {Host} host
 */
function taskCompleted(host, _input, cursor) {
  const now = host.now();
  const until = new Date(now).toISOString();
  const since = cursor?.since ?? until;
  const oldest = new Date(now - WINDOW).toISOString();
  const answer = host
    .get("/tasks/completed/by_completion_date", { since: since < oldest ? oldest : since, until, limit: PAGE })
    .success()
    .json();
  const key = (event) => `${event.id}:${event.completed_at}`;
  const seen = cursor?.seen ?? [];
  const events = answer.items
    .map(({ id, content, completed_at }) => ({ id: String(id), content, completed_at }))
    .filter((event) => !seen.includes(key(event)))
    .sort((a, b) => (a.completed_at < b.completed_at ? -1 : 1));
  const last = events.at(-1)?.completed_at;
  if (last === undefined) return { events, cursor: { since, seen }, more: false };
  const atLast = events.filter((event) => event.completed_at === last).map(key);
  return {
    events,
    cursor: { since: last, seen: atLast },
    more: (answer.next_cursor ?? null) !== null,
  };
}

/** @type {import("./keyport/index.js").Provider} */
export const provider = {
  check,
  actions: { add_tasks: addTasks, list_tasks: listTasks },
  triggers: { task_completed: taskCompleted },
};
