// The demo platform's automation builder: an event, an account connected on the way, the step run once; then an action
// with the account that exists.

import assert from "node:assert/strict";
import { allow, control, expectText, id } from "./steps.mjs";

export default async function scenario({ page, context, wanted, shoot }) {
  await page.goto(wanted.link);
  await page.locator(`${id("app")} option[value="sandbox"]`).waitFor({ state: "attached" });
  await page.locator(id("app")).selectOption("sandbox");
  const event = page.locator(`${id("step")} option[value^="event:"]`).first();
  await event.waitFor({ state: "attached" });
  await page.locator(id("step")).selectOption(await event.getAttribute("value"));
  await shoot("event-chosen");

  const opens = context.waitForEvent("page");
  await page.locator(id("pick")).click();
  const popup = await opens;
  await popup.waitForURL(/\/connect/);
  await popup.locator(id("method-oauth")).waitFor();
  await shoot("connect-window", popup);
  // The window itself goes on to the vendor, or opens one more.
  const more = context.waitForEvent("page", { timeout: 5000 }).catch(() => null);
  await popup.locator(id("method-oauth")).click();
  const submit = popup.locator(id("submit"));
  if (await submit.isVisible().catch(() => false)) await submit.click();
  const vendor = (await more) ?? popup;
  await vendor.waitForURL(/oauth\/authorize/);
  await allow(vendor, "Grace");
  await expectText(page.locator(id("account")), /grace/i, "the platform knows whose account it is");
  await shoot("account-chosen");

  await page.locator(id("run")).click();
  await expectText(page.locator(id("result")), /"events"/, "the event ran once");
  await shoot("event-ran");

  // Watched, it is subscribed; what it finds is shown until somebody stops it.
  await page.locator(id("watch")).click();
  await expectText(page.locator("#status"), /^Watching/, "the event is subscribed");
  await page.locator(id("watch")).click();
  await expectText(page.locator("#status"), /No longer/, "the subscription has ended");

  // A second step takes the same account, without signing in again.
  const action = page.locator(`${id("step")} option[value^="action:list"]`).first();
  await page.locator(id("step")).selectOption(await action.getAttribute("value"));
  const opensAgain = context.waitForEvent("page");
  await page.locator(id("pick")).click();
  const picker = await opensAgain;
  await picker.locator(id("account-picker")).waitFor();
  await shoot("picker", picker);
  await picker.locator('[data-testid^="pick-con_"]').first().click();
  await expectText(page.locator(id("account")), /grace/i, "picked");
  await page.locator(id("run")).click();
  await expectText(page.locator(id("result")), /"output"|\[/, "the action ran");

  // What the vendor refuses reaches the person in words.
  await control(wanted.vendor, "revoke-grants", {});
  await page.locator(id("run")).click();
  await page.locator("#status.bad").waitFor();
  await expectText(page.locator("#status"), /sign|reconnect|accept/i, "a refusal in words");
  assert.match(await page.locator("#status").innerText(), /^[A-Z].{10,}/);
}
