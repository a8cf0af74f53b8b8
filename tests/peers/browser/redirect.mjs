// The same without popups: the browser blocks them, and the flow goes on in the tab and comes back.

import { allow, enterAppsPage, expectText, id } from "./steps.mjs";

export default async function scenario({ page, wanted, shoot }) {
  await page.addInitScript(() => { window.open = () => null; });
  await enterAppsPage(page, wanted);
  await page.locator(id("app-card-sandbox")).click();
  await page.locator(id("method-oauth")).click();
  const submit = page.locator(id("submit"));
  if (await submit.isVisible().catch(() => false)) await submit.click();
  await page.locator(id("continue-here")).waitFor();
  await shoot("popup-blocked");
  await page.locator(id("continue-here")).click();
  await page.waitForURL(/oauth\/authorize/);
  await allow(page);
  await page.waitForURL(new RegExp(`${wanted.keyport}/apps`));
  await expectText(page.locator("li.connection").first(), /ada/i, "connected, in the same tab");
  await shoot("connected-by-redirect");
}
