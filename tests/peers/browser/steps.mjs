// What several scenarios do.

import assert from "node:assert/strict";

export const id = (name) => `[data-testid="${name}"]`;

/** Everybody's keys and passwords at the pretend vendor. */
export async function credentials(vendor, who = "ada") {
  const { credentials: all } = await (await fetch(`${vendor}/control/credentials`)).json();
  const found = all.find((one) => one.email.startsWith(who));
  assert.ok(found, `no ${who} at the vendor`);
  return found;
}

export async function control(vendor, path, body) {
  const answer = await fetch(`${vendor}/control/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
}

/** From the demo platform's page to the hosted Apps page. */
export async function enterAppsPage(page, wanted) {
  await page.goto(wanted.link);
  await page.locator(id("manage")).click();
  await page.waitForURL(`${wanted.keyport}/apps`);
  await page.locator(id("catalogue")).waitFor();
}

/** At the vendor: chooses a person and allows. */
export async function allow(popup, person = "Ada") {
  await popup.waitForLoadState();
  await popup.getByText(person, { exact: false }).first().click();
  await popup.getByRole("button", { name: "Allow" }).click();
}

/** The row of a connection that shows a text. */
export function row(page, text) {
  return page.locator("li.connection", { hasText: text });
}

export async function expectText(locator, pattern, what) {
  const end = Date.now() + 30_000;
  let text = "";
  while (Date.now() < end) {
    text = await locator.innerText().catch(() => "");
    if (pattern.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${what}: ${pattern} not in “${text}”`);
}
