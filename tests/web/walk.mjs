// SPDX-License-Identifier: GPL-2.0-or-later
// Walks the review page in Chromium: node walk.mjs LINK SCHEME DIRECTORY. Prints JSON of what was seen;
// screenshots go to the directory. What a script of the page would do wrong is collected, not hidden.
import { chromium } from "playwright-core";

const [link, scheme, directory] = process.argv.slice(2);
const origin = new URL(link).origin;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1440, height: 900 }, acceptDownloads: true });
const page = await context.newPage();
const seen = { console: [], dialogs: [], foreign: [], failed: [], steps: {} };
page.setDefaultTimeout(30000);
page.on("console", (message) => seen.console.push(message.text()));
page.on("pageerror", (error) => seen.console.push(String(error)));
page.on("dialog", (dialog) => {
  seen.dialogs.push(dialog.message());
  dialog.dismiss();
});
context.on("request", (request) => {
  if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("blob:")) seen.foreign.push(request.url());
});
context.on("response", (response) => response.status() >= 400 && seen.failed.push(`${response.status()} ${response.url()}`));

const settled = () => page.waitForFunction(() => !document.querySelector(".busy.on"));
const shot = async (name) => {
  await settled();
  await page.screenshot({ path: `${directory}/${scheme}-${name}.png` });
};
const title = () => page.title();
const focus = () => page.evaluate(() => document.activeElement?.className || document.activeElement?.tagName);
const press = (...keys) => keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
const text = (selector) => page.locator(selector).first().innerText();

// Where it stood when something did not come.
process.on("uncaughtException", async (error) => {
  console.error(error, page.url(), seen.console, seen.failed, (await page.locator("body").innerText()).slice(0, 2000));
  await page.screenshot({ path: `${directory}/${scheme}-failed.png` });
  process.exit(1);
});

await page.goto(link);
await page.waitForSelector(".figures");
await settled();
seen.steps.address = page.url().replace(origin, "");
seen.steps.figures = await page.locator(".figure").allInnerTexts();
await page.waitForSelector(".u-over");
await shot("overview");

// From here on by the keyboard alone.
await press("t");
await page.waitForFunction(() => location.search.includes("since=7d"));
await press("?");
await page.waitForSelector("dialog[open]");
await shot("keys");
await press("Escape");
await page.waitForFunction(() => !document.querySelector("dialog"));
await press("2");
await page.waitForSelector(".list a.row");
await settled();
seen.steps.explore = await title();
await shot("explore");
await press("/");
seen.steps.filterFocus = await focus();
await page.keyboard.type("action:deny");
await press("Enter");
await page.waitForFunction(() => location.search.includes("action%3Adeny"));
await settled();
await page.waitForFunction(() => document.querySelector(".list a.row .verdict.bad"));
seen.steps.denied = await page.locator(".list a.row").count();
await press("j");
await page.waitForSelector(".peek");
await shot("peek");
await press("Escape");
await page.waitForFunction(() => !document.querySelector(".peek"));
await press("f");
seen.steps.facetFocus = await page.evaluate(() => !!document.activeElement.closest(".facets"));
await press("/");
await page.locator(".filter input").press("Control+a");
await page.keyboard.type("user:grace");
await press("Enter");
await page.waitForFunction(() => document.querySelectorAll(".list a.row").length === 3);
await settled();
const download = page.waitForEvent("download");
await press("e");
const lines = await (await download).createReadStream().then(async (stream) => {
  let all = "";
  for await (const part of stream) all += part;
  return all.trim().split("\n").map((line) => JSON.parse(line));
});
seen.steps.exported = lines.length;
// The last call of a conversation, and those before it.
await press("j", "Enter");
await page.waitForSelector(".conversation .message");
seen.steps.exchange = await title();
seen.steps.folded = await text(".fold");
seen.steps.attempts = await page.locator(".attempts li").allInnerTexts();
await shot("exchange");
seen.steps.tool = await page.locator(".call").count();
const last = page.url();
await press("[");
await page.waitForFunction((url) => location.href !== url, last);
await settled();
await page.waitForSelector(".call");
seen.steps.callAndResult = await text(".call");
await press("]");
await page.waitForFunction((url) => location.href === url && document.querySelector(".fold")?.innerText.includes("3 messages"), last);
await press("h");
await page.waitForFunction(() => document.querySelector(".fold")?.getAttribute("aria-expanded") === "true");
await press("r");
await page.waitForSelector("pre.raw");
await shot("raw");
await press("Escape");
await page.waitForSelector(".list");

// What is hostile in a prompt is drawn, and does nothing.
await page.goto(`${origin}/explore?q=user%3Amallory`);
await page.waitForSelector(".list a.row");
await press("j", "Enter");
await page.waitForSelector(".conversation .message");
await settled();
seen.steps.hostile = await page.locator(".conversation .hostile").allInnerTexts();
seen.steps.markup = await page.locator(".conversation img, .conversation script, .conversation b").count();
seen.steps.shownText = await page.locator(".conversation").innerText();
await shot("hostile");

for (const [key, selector, name] of [["3", ".list a.row", "live"], ["4", "tbody tr", "sources"], ["5", ".states", "health"], ["6", "tbody tr", "access"], ["7", "tbody tr", "conversations"]]) {
  await press(key);
  await page.waitForSelector(selector);
  await shot(name);
  seen.steps[name] = await page.locator(selector).count();
}
// Searched by words, once the index has them.
for (let tries = 0; tries < 100; tries++) {
  await page.goto(`${origin}/explore?q=portcullis`);
  await page.waitForSelector(".list");
  await settled();
  seen.steps.found = await page.locator(".list a.row").count();
  if (seen.steps.found) break;
  await page.waitForTimeout(200);
}
// What is asked wrongly is told.
const before = seen.failed.length;
await page.goto(`${origin}/explore?q=ip%3Abogus`);
seen.steps.problem = await text(".problem");
seen.console = seen.console.filter((message) => !/status of 400/.test(message));
seen.failed = seen.failed.slice(0, before);
// A small window, and a new tab, which has the session.
const tab = await context.newPage();
await tab.setViewportSize({ width: 420, height: 800 });
await tab.goto(`${origin}/`);
await tab.waitForSelector(".figures");
await tab.waitForFunction(() => !document.querySelector(".busy.on"));
await tab.screenshot({ path: `${directory}/${scheme}-small.png` });
seen.steps.wide = await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
// Without a session there is nothing to be seen.
await page.goto(`${origin}/`);
await page.getByRole("button", { name: "leave" }).click();
await page.waitForSelector(".outside");
await shot("outside");
await page.goto(`${origin}/access`);
await page.waitForSelector(".outside");
seen.steps.outside = await text(".outside");
seen.console = seen.console.filter((message) => !/status of 401/.test(message));
seen.failed = seen.failed.filter((answer) => answer !== `401 ${origin}/api/whoami?`);
console.log(JSON.stringify(seen));
await browser.close();
