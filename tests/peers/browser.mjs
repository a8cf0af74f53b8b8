// A real browser at the pages: runs one scenario to its end and leaves screenshots.
//
// Argument: {scenario, chromium, artefacts, …what the scenario needs}. Exit code 0 means that everything was as it should be.

import { chromium } from "playwright-core";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const wanted = JSON.parse(process.argv[2]);
const { default: scenario } = await import(`./browser/${wanted.scenario}.mjs`);
mkdirSync(wanted.artefacts, { recursive: true });

const browser = await chromium.launch({
  executablePath: wanted.chromium,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
  ],
});
const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, reducedMotion: "reduce", colorScheme: wanted.dark ? "dark" : "light" });
context.setDefaultTimeout(30_000);
const page = await context.newPage();
const complaints = [];
context.on("page", watch);
watch(page);

function watch(one) {
  one.on("pageerror", (error) => complaints.push(`${one.url().split("#")[0]}: ${error.message}`));
  one.on("console", (message) => {
    // What a content policy blocked is a fault of ours; refused requests are part of some scenarios.
    if (message.type() === "error" && /Content Security Policy|Uncaught/.test(message.text())) complaints.push(message.text());
  });
}

let number = 0;
const shoot = async (name, at = page) => {
  number += 1;
  const file = `${wanted.scenario}-${String(number).padStart(2, "0")}-${name}.png`;
  // Of a long page, and of one with a dialog, what a person sees.
  const whole = await at.evaluate(() => !document.querySelector("dialog[open]") && document.documentElement.scrollHeight < 2000);
  await at.screenshot({ path: join(wanted.artefacts, file), fullPage: whole });
};

try {
  await scenario({ page, context, wanted, shoot });
  if (complaints.length) throw new Error(`the pages complained:\n${complaints.join("\n")}`);
  await browser.close();
} catch (error) {
  for (const one of context.pages()) {
    await shoot("failed", one).catch(() => {});
    console.error(`page: ${one.url().split("#")[0]}`);
    console.error((await one.locator("body").innerText().catch(() => "")).slice(0, 2000));
  }
  await browser.close();
  console.error(error);
  if (complaints.length) console.error(complaints.join("\n"));
  process.exit(1);
}
