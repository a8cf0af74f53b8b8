// The automation builder: app → event or action → account → run once, or watch an event.
// Everything that counts happens in this platform's backend; the page only carries the completion code to it.

const element = (id) => document.getElementById(id);
const app = element("app");
const step = element("step");
const pick = element("pick");
const run = element("run");
const watch = element("watch");
const inputs = element("inputs");
const state = { detail: null, connection: null, watching: null };

async function call(path, body, method = "GET") {
  const options = body === undefined
    ? { method }
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(sentence(document.detail || document.title || `the request failed with status ${answer.status}`));
  }
  return document;
}

// The API's details are parts of sentences; a person gets a whole one.
function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

function say(text, bad = false) {
  const status = element("status");
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

function option(value, text, disabled = false) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  made.disabled = disabled;
  return made;
}

async function loadApps() {
  const { items } = await call("/api/apps");
  app.replaceChildren(option("", "Choose an app"), ...items.map((one) => option(one.id, one.name)));
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.get("app")) {
    app.value = wanted.get("app");
    await loadSteps();
    const connection = wanted.get("connection");
    if (connection) chosen({ id: connection });
  }
}

async function loadSteps() {
  state.detail = null;
  forgetAccount();
  step.disabled = true;
  step.replaceChildren();
  if (!app.value) return update();
  state.detail = await call(`/api/apps/${encodeURIComponent(app.value)}`);
  const group = (label, kind, list) => {
    const made = document.createElement("optgroup");
    made.label = label;
    made.append(...list.map((one) => option(`${kind}:${one.id}`, one.title)));
    return made;
  };
  const { events = [], actions = [] } = state.detail;
  if (events.length) step.append(group("Events", "event", events));
  if (actions.length) step.append(group("Actions", "action", actions));
  step.disabled = !events.length && !actions.length;
  showStep();
}

function currentStep() {
  const [kind, id] = step.value.split(":");
  const list = kind === "event" ? state.detail?.events : state.detail?.actions;
  return { kind, id, detail: list?.find((one) => one.id === id) };
}

// A field per property of the input's JSON Schema.
function showStep() {
  const { detail } = currentStep();
  element("step-about").textContent = detail?.description ?? "";
  inputs.replaceChildren();
  const schema = detail?.input ?? {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const label = document.createElement("label");
    const required = (schema.required ?? []).includes(name);
    label.textContent = `${property.title ?? name}${required ? "" : " (optional)"}`;
    const input = document.createElement(property.enum ? "select" : "input");
    if (property.enum) input.append(option("", ""), ...property.enum.map((one) => option(one, one)));
    input.name = name;
    input.required = required;
    input.dataset.type = property.type ?? "string";
    input.dataset.testid = `input-${name}`;
    label.append(input);
    inputs.append(label);
  }
  update();
}

function readInputs() {
  const result = {};
  for (const input of inputs.querySelectorAll("input, select")) {
    if (input.value === "") continue;
    const type = input.dataset.type;
    if (type === "integer" || type === "number") result[input.name] = Number(input.value);
    else if (type === "boolean") result[input.name] = input.value === "true";
    else if (type === "object" || type === "array") result[input.name] = JSON.parse(input.value);
    else result[input.name] = input.value;
  }
  return result;
}

function forgetAccount() {
  state.connection = null;
  element("account").textContent = "No account chosen.";
}

function chosen(connection) {
  state.connection = connection.id;
  const label = connection.account?.label ?? connection.title ?? connection.id;
  element("account").textContent = `Connected as ${label}`;
  update();
}

function update() {
  const { kind, detail } = currentStep();
  pick.disabled = step.disabled || !step.value;
  // Events that an app sends by itself cannot be asked for.
  run.disabled = pick.disabled || !state.connection || (kind === "event" && detail?.kind !== "polling");
  watch.hidden = kind !== "event";
  watch.disabled = pick.disabled || !state.connection;
}

function show(answer) {
  const result = element("result");
  result.textContent = JSON.stringify(answer, null, 2);
  result.hidden = false;
}

async function stopWatching() {
  const watching = state.watching;
  if (!watching) return;
  state.watching = null;
  clearTimeout(watching.timer);
  watch.textContent = "Watch for events";
  await call(`/api/watch/${encodeURIComponent(watching.id)}`, undefined, "DELETE");
}

async function lookAgain() {
  const watching = state.watching;
  if (!watching) return;
  try {
    const { items } = await call(`/api/watch/${encodeURIComponent(watching.id)}`);
    if (state.watching !== watching) return;
    if (items.length) {
      show(items.map((one) => one.event));
      say(items.length === 1 ? "One event so far." : `${items.length} events so far.`);
    }
  } catch (error) {
    say(error.message, true);
  }
  if (state.watching === watching) watching.timer = setTimeout(lookAgain, 3000);
}

pick.addEventListener("click", async () => {
  say("Waiting for the connect window…");
  const wanted = { app: app.value, for: currentStep().kind };
  try {
    // The window opens at once, inside the click; its session is made meanwhile by our backend.
    const { session, code } = await window.Keyport.pick({
      session: async () => (await call("/api/sessions", wanted)).url,
      app: wanted.app,
      for: wanted.for,
    });
    chosen(await call("/api/complete", { session, code }));
    say("The account is connected.");
  } catch (error) {
    say(error.message || "The account was not connected.", true);
  }
});

run.addEventListener("click", async () => {
  if (!inputs.reportValidity()) return;
  const { kind, id } = currentStep();
  const result = element("result");
  result.hidden = true;
  say("Running…");
  try {
    const answer = await call("/api/run", { connection: state.connection, kind, name: id, input: readInputs() });
    show(answer);
    say("Done.");
  } catch (error) {
    say(error.message, true);
  }
});

watch.addEventListener("click", async () => {
  try {
    if (state.watching) {
      await stopWatching();
      return say("No longer watching.");
    }
    if (!inputs.reportValidity()) return;
    const { kind, id } = currentStep();
    element("result").hidden = true;
    const made = await call("/api/watch", { connection: state.connection, kind, name: id, input: readInputs() });
    state.watching = { id: made.id, timer: null };
    watch.textContent = "Stop watching";
    const { manual } = made;
    if (manual) show({ "what to do": manual.say, address: manual.url, secret: manual.secret });
    say("Watching. What happens at the app from now on is shown here.");
    state.watching.timer = setTimeout(lookAgain, 1000);
  } catch (error) {
    say(error.message, true);
  }
});

inputs.addEventListener("submit", (event) => event.preventDefault());
app.addEventListener("change", () => loadSteps().catch((error) => say(error.message, true)));
step.addEventListener("change", () => {
  stopWatching().catch((error) => say(error.message, true));
  showStep();
});
loadApps().catch((error) => say(error.message, true));
