// The Apps page from empty to connected by both ways; rename, Test, pause, details, disconnect, reactivate.

import assert from "node:assert/strict";
import { allow, control, credentials, enterAppsPage, expectText, id, row } from "./steps.mjs";

export default async function scenario({ page, context, wanted, shoot }) {
  const ada = await credentials(wanted.vendor);
  await enterAppsPage(page, wanted);
  await expectText(page.locator("body"), /demo/i, "the page names whose accounts these are");
  await shoot("empty");

  // Search, then a key form; a wrong key first.
  await page.locator(id("search")).fill("git");
  await page.locator(id("app-card-github")).waitFor();
  await page.locator(id("app-card-stripe")).waitFor({ state: "detached" });
  await page.locator(id("search")).fill("sandbox");
  await shoot("search");
  await page.locator(id("app-card-sandbox")).click();
  await page.locator(id("method-api_key")).click();
  const key = page.locator('[data-testid^="field-"]:visible').first();
  await key.fill("not the key");
  await shoot("key-form");
  await page.locator(id("submit")).click();
  await expectText(page.locator(`${id("connect-dialog")} ${id("error")}`).first(), /accept/i, "a wrong key is told in words");
  await shoot("wrong-key");
  await key.fill(ada.api_key);
  await page.locator(id("submit")).click();
  await expectText(page.locator(id("connected-as")), /ada/i, "connected as");
  await shoot("connected-by-key");
  await page.locator(id("done")).click();

  // OAuth in a popup.
  await page.locator(id("app-card-sandbox")).click();
  const popupOpens = context.waitForEvent("page");
  await page.locator(id("method-oauth")).click();
  // Where the method needs no fields, choosing it may already start it.
  const submit = page.locator(id("submit"));
  if (await submit.isVisible().catch(() => false)) await submit.click();
  const popup = await popupOpens;
  await popup.waitForURL(/oauth\/authorize/);
  await shoot("vendor", popup);
  await allow(popup);
  await expectText(page.locator(id("connected-as")), /ada/i, "connected as, by OAuth");
  await shoot("connected-by-oauth");
  await page.locator(id("done")).click();
  assert.equal(await page.locator("li.connection").count(), 2);
  await shoot("list");

  // Rename with the keyboard.
  const first = page.locator("li.connection").first();
  await first.locator(id("rename")).click();
  await page.locator(id("rename-input")).fill("My notes");
  await page.keyboard.press("Enter");
  const notes = row(page, "My notes");
  await notes.waitFor();
  await notes.locator(id("rename")).click();
  await page.locator(id("rename-input")).fill("Thrown away");
  await page.keyboard.press("Escape");
  await expectText(notes.locator(id("title")), /^My notes$/, "Escape keeps the name");

  // Test, with its steps.
  await notes.locator(id("test")).click();
  await expectText(notes.locator(id("test-report")), /account/i, "the steps of the test");
  await shoot("tested");

  // Pause and resume.
  await notes.locator(id("pause")).click();
  await expectText(notes.locator(id("status")), /paused/i, "paused");
  await notes.locator(id("resume")).click();
  await expectText(notes.locator(id("status")), /connected/i, "resumed");

  // A key that the vendor revoked: the Test says so, new details mend it.
  const byKey = page.locator("li.connection", { has: page.getByText("Update details") });
  await control(wanted.vendor, "credentials", { user: ada.email, kind: "api_key", action: "renew" });
  await byKey.locator(id("test")).click();
  await expectText(byKey.locator(id("status")), /reconnect|sign in again|attention/i, "the dead key is seen");
  await shoot("needs-reconnect");
  await byKey.locator(id("update-details")).click();
  await page.locator(`${id("update-dialog")} [data-testid^="field-"]`).first().fill((await credentials(wanted.vendor)).api_key);
  await page.locator(`${id("update-dialog")} ${id("submit")}`).click();
  await page.locator(`${id("update-dialog")} ${id("done")}`).click();
  await expectText(byKey.locator(id("status")), /connected/i, "new details mended it");
  assert.equal(await byKey.locator(id("test-report")).count(), 0, "the report of what was wrong is gone");

  // Disconnect the one by OAuth, and connect it again under the same row.
  const byOauth = page.locator("li.connection", { has: page.locator(id("update-details"), { hasText: "Sign in again" }) });
  const rowId = await byOauth.getAttribute("data-testid");
  await byOauth.locator(id("disconnect")).click();
  await page.locator(`${id("disconnect-dialog")} button`, { hasText: "Disconnect" }).click();
  await expectText(page.locator(id("revoked")), /\w/, "it says whether the revocation worked");
  assert.equal(await page.locator(id("revoked")).getAttribute("data-revoked"), "yes");
  await shoot("disconnected");
  await page.keyboard.press("Escape");
  const same = page.locator(id(rowId));
  await expectText(same.locator(id("status")), /disconnected/i, "disconnected");
  const again = context.waitForEvent("page");
  await same.locator(id("reactivate")).click();
  const next = page.locator(`${id("connect-dialog")} ${id("submit")}`);
  await next.waitFor();
  await next.click();
  await allow(await again);
  await page.locator(id("done")).click();
  await expectText(same.locator(id("status")), /connected/i, "reactivated under the same id");
  assert.equal(await page.locator("li.connection").count(), 2, "no second row");

  // A phone, and the dark.
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.equal(wide, false, "nothing sticks out on a phone");
  await shoot("phone");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot("phone-dark");
}
