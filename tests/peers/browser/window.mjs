// The connect window's rarer steps, as a person sees them: a code to type at the app, a choice among several places, fields
// that depend on each other, errors that say what to do. The host's answers are put in its mouth; the pages are real.

import assert from "node:assert/strict";
import { allow, enterAppsPage, expectText, id } from "./steps.mjs";

const FLOW = "flow_0000000000000000000000";

export default async function scenario({ page, context, wanted, shoot }) {
  let view = null;
  let chosen = null;
  await page.route("**/page/apps/sandbox", async (route) => {
    const answer = await route.fetch();
    const app = await answer.json();
    if (view === null) { await route.fulfill({ json: app }); return; }
    const oauth = app.methods.find((method) => method.id === "oauth");
    Object.assign(oauth, {
      device: true,
      redirects: false,
      fields: [
        { id: "place", label: "Where it runs", secret: false, required: true, choices: [{ value: "cloud", label: "In the cloud" }, { value: "own", label: "On our own server" }], default: "cloud", group: "Server" },
        { id: "address", label: "Address of your server", secret: false, required: true, format: "origin", shown_when: { field: "place", values: ["own"] }, group: "Server" },
        { id: "key", label: "Private key", secret: true, required: true, multiline: true, file: { accept: [".pem"], max: 200 }, help: "The file that the app gave you." },
      ],
    });
    await route.fulfill({ json: app });
  });
  await page.route("**/page/flows", async (route) => {
    if (view === null) { await route.continue(); return; }
    chosen = JSON.parse(route.request().postData());
    await route.fulfill({ json: { flow: view, go_url: `/page/go/${FLOW}` } });
  });
  await page.route(`**/page/flows/${FLOW}`, (route) => route.fulfill({ json: view }));
  await page.route(`**/page/flows/${FLOW}/choose`, async (route) => {
    chosen = JSON.parse(route.request().postData());
    view = { ...view, status: "failed", choose: undefined, error: { code: "insufficient_scope", say: "Sandbox did not grant notes:read; sign in again and allow everything that is asked for", ref: FLOW } };
    await route.fulfill({ json: view });
  });

  // A popup that outlives a reload of the page that opened it: the server knows, and the page asks it.
  await enterAppsPage(page, wanted);
  await page.locator(id("app-card-sandbox")).click();
  await page.locator(id("method-oauth")).click();
  const [popup] = await Promise.all([context.waitForEvent("page"), page.locator(id("submit")).click()]);
  await popup.waitForURL(/oauth\/authorize/);
  await page.reload();
  await page.locator(id("connect-dialog")).waitFor();
  await shoot("resumed-after-a-reload");
  await allow(popup);
  await page.locator(id("connected")).waitFor();
  await page.locator(id("done")).click();

  // The form: what depends on another field is there only with it; a key comes out of a file.
  view = { id: FLOW, app: "sandbox", status: "authorizing", mode: "redirect" };
  view.device = { user_code: "WDJB-MJHT", verification_uri: "javascript:alert(1)", expires_at: new Date(Date.now() + 600000).toISOString() };
  await page.reload();
  await page.locator(id("app-card-sandbox")).click();
  await page.locator(id("method-oauth")).click();
  const address = page.locator(id("field-address"));
  assert.equal(await address.isVisible(), false, "a field that is not meant is not there");
  await page.locator(id("field-place")).selectOption("own");
  await address.waitFor();
  await page.locator(id("submit")).click();
  await expectText(page.locator(id("error-address")), /Enter/, "a field that is there is asked for");
  await page.locator(id("field-place")).selectOption("cloud");
  assert.equal(await address.isVisible(), false);
  await page.locator(id("file-key")).setInputFiles({ name: "large.pem", mimeType: "text/plain", buffer: Buffer.alloc(300, 97) });
  await expectText(page.locator(id("error-key")), /larger/, "a file that is too large is refused");
  await page.locator(id("file-key")).setInputFiles({ name: "key.pem", mimeType: "text/plain", buffer: Buffer.from("-----BEGIN KEY-----\nabc\n-----END KEY-----\n") });
  await shoot("fields");
  await page.locator(id("submit")).click();

  // A code for another device: text, and no link to what is not https.
  await page.locator(id("device-step")).waitFor();
  assert.equal(chosen.fields.key, "-----BEGIN KEY-----\nabc\n-----END KEY-----");
  assert.ok(!("address" in chosen.fields), "what is hidden is not sent");
  assert.equal(await page.locator(id("user-code")).innerText(), "WDJB-MJHT");
  assert.equal(await page.locator(`${id("device-step")} a`).count(), 0, "no link to a script");
  view = { ...view, device: { ...view.device, verification_uri: "https://vendor.keyport.test/device" } };
  await page.locator(`${id("device-step")} a[href="https://vendor.keyport.test/device"]`).waitFor();
  await shoot("device");

  // Which one: the app's words are text; one can search; Enter sends.
  const options = [...Array(12).keys()].map((n) => ({ value: String(n), label: `Workspace ${n}` }));
  options.push({ value: "x", label: "<img src=x onerror=\"document.title='gone'\"> & Co" });
  view = { ...view, status: "choosing", device: undefined, choose: { step: "site", say: "Which workspace do you want to connect?", options } };
  await page.locator(id("choose-step")).waitFor();
  assert.equal(await page.locator(`${id("choose-step")} img`).count(), 0, "a label is no markup");
  await page.locator(id("choose")).click();
  await expectText(page.locator(id("choose-step")), /Choose one/, "nothing is chosen for the person");
  await page.locator(id("choose-search")).fill("& co");
  assert.equal(await page.locator(`${id("choose-step")} .choice:visible`).count(), 1);
  await shoot("choose");
  await page.locator(id("choice-x")).click();
  await page.locator(id("choose")).click();

  // What went wrong: one sentence, what to do, and a reference.
  await expectText(page.locator(id("error")), /did not grant notes:read/, "what is missing is named");
  await expectText(page.locator(".notice.bad"), new RegExp(FLOW), "with a reference");
  assert.deepEqual(chosen, { step: "site", value: "x" });
  assert.equal(await page.locator(id("field-place")).inputValue(), "cloud", "what was typed is still there");
  await shoot("insufficient-scope");
}
