// The rarer ways to sign in, with a real host and its provider behind the pages: a question in between, a code for another
// device, an answer that the app posts, less granted than asked, another account than before, no second window, and ends
// that say what to do.

import assert from "node:assert/strict";
import { expectText, id } from "./steps.mjs";

const at = (page, name) => page.locator(`${id("connect-dialog")} ${id(name)}`);
const popupOf = async (context, click) => (await Promise.all([context.waitForEvent("page"), click()]))[0];

async function choose(page, method) {
  await page.locator(id("app-card-ways")).click();
  await page.locator(id(`method-${method}`)).click();
}

export default async function scenario({ page, context, wanted, shoot }) {
  await page.goto(wanted.link);
  await page.waitForURL(`${wanted.keyport}/apps`);
  await page.locator(id("app-card-ways")).waitFor();
  await expectText(page.locator(id("category-crm")), /^CRM$/, "a category has its proper name");
  await shoot("catalogue");

  // A token that is wrong: what happened, what to do, a reference.
  await choose(page, "token");
  await shoot("ways-to-sign-in");
  await at(page, "field-token").fill("wrong-token");
  await at(page, "submit").click();
  await expectText(page.locator(`${id("connect-dialog")} .notice.bad`), /Reference: flow_/, "a reference to quote");
  await shoot("wrong-token");

  // The right one, and which of three places is meant.
  await at(page, "field-token").fill("at-typed");
  await at(page, "submit").click();
  await at(page, "choose-step").waitFor();
  await shoot("choose");
  await at(page, "choice-1").click();
  await at(page, "choose").click();
  await expectText(at(page, "connected-as"), /Ada Lovelace/, "connected to the chosen place");
  await at(page, "done").click();

  // A code for another device. The page notices by itself when it was typed there.
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: wanted.keyport });
  await choose(page, "device");
  await expectText(at(page, "submit"), /Get a code/, "the button says what it does");
  await at(page, "submit").click();
  await at(page, "device-step").waitFor();
  assert.equal(context.pages().length, 1, "no window lies over the code");
  assert.equal(await at(page, "user-code").innerText(), "WDJB-MJHT");
  await at(page, "copy-code").click();
  await expectText(at(page, "device-step"), /Copied/, "it says that it copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "WDJB-MJHT");
  await shoot("device");
  // The page is loaded anew meanwhile: the code is still there.
  await page.reload();
  await at(page, "user-code").waitFor();
  assert.equal(await at(page, "user-code").innerText(), "WDJB-MJHT");
  await shoot("device-after-a-reload");
  // Only now the person types it there and agrees.
  assert.ok((await fetch(wanted.agree)).ok);
  await at(page, "choose-step").waitFor();
  await shoot("choose-after-device");
  await at(page, "choice-0").click();
  await at(page, "choose").click();
  await expectText(at(page, "connected-as"), /Edsger Dijkstra/, "connected by a device's code");
  await at(page, "done").click();

  // An answer that is posted from the app's own site, into a second window; less is granted than was asked for.
  await choose(page, "posted");
  let popup = await popupOf(context, () => at(page, "submit").click());
  await popup.waitForURL(/authorize/);
  await shoot("signing-in");
  await shoot("at-the-app", popup);
  await popup.getByRole("button", { name: "Ada allows to read", exact: true }).click();
  await expectText(at(page, "connected-as"), /Ada Lovelace/, "connected by a posted answer");
  await at(page, "done").click();
  const narrow = page.locator("li.connection", { hasText: "did not grant" });
  // The app ends this sign-in a year from now, whatever is done; of the one by a token nothing is known.
  await expectText(narrow.locator(id("ends")), /^Sign-in ends on .*20\d\d/, "when the sign-in ends is said");
  const year = Date.parse(await narrow.locator(`${id("ends")} time`).getAttribute("datetime"));
  assert.ok(Math.abs(year - Date.now() - 365 * 86400e3) < 86400e3, "a year from now");
  assert.equal(await page.locator(id("ends")).count(), 1);
  await expectText(narrow, /write/, "what was not granted is named");
  await expectText(narrow.locator(id("status")), /in part/, "that is a state of its own");
  await shoot("less-than-asked");

  // Asked again, and by somebody else: the account must be the same one.
  await narrow.locator(id("consent")).click();
  popup = await popupOf(context, () => at(page, "submit").click());
  await popup.waitForURL(/authorize/);
  await popup.getByRole("button", { name: "Grace allows" }).click();
  await expectText(at(page, "error"), /Ada Lovelace.*Grace Hopper/s, "another account is refused, and which ones is said");
  await shoot("wrong-account");
  popup = await popupOf(context, () => at(page, "submit").click());
  await popup.waitForURL(/authorize/);
  await popup.getByRole("button", { name: "Ada allows", exact: true }).click();
  await expectText(at(page, "connected-as"), /Ada Lovelace/, "signed in again");
  await at(page, "done").click();
  await narrow.waitFor({ state: "detached" });
  await shoot("granted-in-full");

  // Whoever says no at the app is told so, and can begin again.
  await choose(page, "posted");
  popup = await popupOf(context, () => at(page, "submit").click());
  await popup.waitForURL(/authorize/);
  await popup.getByRole("button", { name: "Deny" }).click();
  await expectText(at(page, "error"), /said no/, "a refusal is told");
  await expectText(page.locator(`${id("connect-dialog")} .notice.bad`), /Reference: flow_/, "with a reference");
  await shoot("denied");
  await at(page, "cancel").click();

  // No second window to be had: the same in this tab, with a posted answer, there and back.
  const tab = await context.newPage();
  await tab.addInitScript(() => { window.open = () => null; });
  await tab.goto(`${wanted.keyport}/apps`);
  await tab.locator(id("app-card-ways")).waitFor();
  await choose(tab, "posted");
  await at(tab, "submit").click();
  await at(tab, "popup-blocked").waitFor();
  await shoot("popup-blocked", tab);
  await at(tab, "continue-here").click();
  await tab.waitForURL(/authorize/);
  await tab.getByRole("button", { name: "Grace allows" }).click();
  await tab.waitForURL(new RegExp(`^${wanted.keyport}/apps`));
  await expectText(tab.locator("body"), /Grace Hopper/, "connected in the same tab");
  await shoot("back-in-this-tab", tab);
  // The same with a no.
  await tab.goto(`${wanted.keyport}/apps`);
  await tab.locator(id("app-card-ways")).waitFor();
  await choose(tab, "posted");
  await at(tab, "submit").click();
  await at(tab, "continue-here").click();
  await tab.waitForURL(/authorize/);
  await tab.getByRole("button", { name: "Deny" }).click();
  await tab.waitForURL(new RegExp(`^${wanted.keyport}/apps`));
  await expectText(at(tab, "error"), /said no/, "a refusal is told after a redirect, too");
  await shoot("denied-in-this-tab", tab);

  // An answer that belongs to no sign-in: nothing happens, and the page says what to do, with a reference.
  await tab.goto(`${wanted.callback}?code=stray&state=stray`);
  await expectText(tab.locator(id("callback-refused")), /Reference: \S+/, "a page that ends a stray answer");
  await shoot("stray-answer", tab);
  await tab.close();

  // A phone.
  await page.setViewportSize({ width: 390, height: 844 });
  await choose(page, "token");
  await shoot("phone-form");
}
