// What a platform's own page sees and sends: the events of the window, the same tab on a phone, and a link that comes by mail.

import assert from "node:assert/strict";
import { allow, credentials, expectText, id } from "./steps.mjs";

/** Fills in the key form of the sandbox in a connect window. */
async function byKey(window, key) {
  await window.locator(id("method-api_key")).click();
  await window.locator('[data-testid^="field-"]:visible').first().fill(key);
  await window.locator(id("submit")).click();
}

export default async function scenario({ page, context, wanted, shoot }) {
  const ada = await credentials(wanted.vendor);
  const platform = new URL(wanted.link).origin;
  await page.goto(wanted.link);
  await page.locator(id("pick")).waitFor();

  // The events, in their order; each with its version, and with nothing in it that opens anything.
  const pick = () => page.evaluate(() => {
    window.told = [];
    window.done = window.Keyport.pick({
      session: async () => (await (await fetch("/api/sessions", {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ app: "sandbox", for: "a test" }),
      })).json()).url,
      onEvent: (event) => window.told.push(event),
    }).then((picked) => ({ picked }), (error) => ({ code: error.code }));
  });
  let opens = context.waitForEvent("page");
  await pick();
  let popup = await opens;
  await byKey(popup, "not the key");
  await popup.locator(id("error")).first().waitFor();
  await popup.locator('[data-testid^="field-"]:visible').first().fill(ada.api_key);
  await popup.locator(id("submit")).click();
  const first = await page.evaluate(() => window.done);
  assert.ok(first.picked.code.length > 20, "the code comes by the promise");
  const told = await page.evaluate(() => window.told);
  assert.deepEqual(told.map((event) => event.type),
    ["opened", "app_selected", "submitted", "failed", "submitted", "test_passed", "connected", "closed"]);
  for (const event of told) {
    assert.equal(event.v, 1);
    assert.ok("flow" in event);
    assert.ok(!JSON.stringify(event).includes(first.picked.code) && !JSON.stringify(event).includes(ada.api_key), event.type);
  }
  assert.match(told.find((event) => event.type === "connected").connection_id, /^con_/);
  assert.match(told.find((event) => event.type === "failed").code, /^[a-z_]+$/);

  // By OAuth, the app's page opens and comes back in between.
  opens = context.waitForEvent("page");
  await pick();
  popup = await opens;
  const vendorOpens = context.waitForEvent("page");
  await popup.locator(id("method-oauth")).click();
  const submit = popup.locator(id("submit"));
  if (await submit.isVisible().catch(() => false)) await submit.click();
  const vendor = await vendorOpens;
  await vendor.waitForURL(/oauth\/authorize/);
  await allow(vendor, "Grace");
  assert.ok((await page.evaluate(() => window.done)).picked);
  assert.deepEqual((await page.evaluate(() => window.told)).map((event) => event.type),
    ["opened", "app_selected", "submitted", "oauth_opened", "oauth_returned", "test_passed", "connected", "closed"]);

  // A window that is closed says so, once.
  opens = context.waitForEvent("page");
  await pick();
  popup = await opens;
  await popup.locator(id("cancel")).waitFor();
  await popup.close();
  assert.equal((await page.evaluate(() => window.done)).code, "closed");
  assert.equal((await page.evaluate(() => window.told)).filter((event) => event.type === "closed").length, 1);

  // A foreign page's message is no event of the window's.
  await page.evaluate((origin) => {
    window.dispatchEvent(new MessageEvent("message", { origin, data: { v: 1, type: "connected", flow: "flow_1" } }));
  }, "https://evil.example");
  assert.ok(!(await page.evaluate(() => window.told)).some((event) => event.flow === "flow_1"));

  // On a phone there is no second window: this tab goes there and comes back.
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(platform);
  await page.locator(`${id("app")} option[value="sandbox"]`).waitFor({ state: "attached" });
  await page.locator(id("app")).selectOption("sandbox");
  const step = page.locator(`${id("step")} option[value^="event:"]`).first();
  await step.waitFor({ state: "attached" });
  await page.locator(id("step")).selectOption(await step.getAttribute("value"));
  const before = context.pages().length;
  await page.locator(id("pick")).click();
  await page.waitForURL(`${wanted.keyport}/connect**`);
  assert.equal(context.pages().length, before, "no second window");
  await byKey(page, ada.api_key);
  await page.waitForURL(new RegExp(`^${platform}/`));
  await expectText(page.locator(id("account")), /Connected as con_/, "taken over after the way back");
  await shoot("phone-and-back");
  await page.setViewportSize({ width: 1100, height: 800 });

  // A link that came by mail: looked at as often as one likes, opened by a click, once.
  for (let turn = 0; turn < 2; turn += 1) {
    await page.goto("about:blank");
    await page.goto(wanted.sent);
    await page.locator(id("sent-link")).waitFor();
  }
  const said = await page.locator("body").innerText();
  for (const part of [new URL(platform).host, "Demo user", "demo", "Sandbox", "Weekly report"]) assert.ok(said.includes(part), `${part} in ${said}`);
  assert.ok(!page.url().includes("#"), "the token is out of the address");
  await shoot("sent-link");
  await page.locator(id("confirm-link")).click();
  await page.waitForURL(`${wanted.keyport}/connect**`);
  await page.locator('[data-testid^="pick-con_"]').first().click();
  await page.waitForURL(new RegExp(`^${platform}/`));
  await expectText(page.locator(id("account")), /Connected as con_/, "the platform saw who came back");
  await page.goto(wanted.sent);
  await page.locator(id("link-expired")).waitFor();
  await shoot("sent-link-used");
}
