// SPDX-License-Identifier: GPL-2.0-or-later
// What an operator sees of the review page: node operator.mjs LINK. Prints JSON.
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const page = await browser.newPage();
page.setDefaultTimeout(60000);
await page.goto(process.argv[2]);
await page.waitForSelector(".figures");
const pages = await page.locator(".rail").innerText();
await page.keyboard.press("2");
await page.waitForSelector(".list a.row");
await page.waitForFunction(() => !document.querySelector(".busy.on"));
const rows = await page.locator(".list a.row").count();
const text = await page.locator("main").innerText();
await page.keyboard.press("j");
await page.keyboard.press("Enter");
const problem = await page.locator(".problem").innerText();
console.log(JSON.stringify({ pages, rows, text, problem }));
await browser.close();
