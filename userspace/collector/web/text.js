// SPDX-License-Identifier: GPL-2.0-or-later
// Text of strangers: whatever a browser would obey, reorder or hide is drawn as what it is. The ranges
// are those of base/visible.c, put in by web/bundle.
import { html } from "htm/preact";

const escape = (n) => `\\u{${n.toString(16)}}`;
// A tab and a line end are what they are, in a block of text.
const ranges = HOSTILE_RANGES.flatMap(([a, b]) => (a === 0 ? [[0, 8], [11, b]] : [[a, b]]));
const hostile = new RegExp(`[${ranges.map(([a, b]) => `${escape(a)}-${escape(b)}`).join("")}${escape(0xd800)}-${escape(0xdfff)}]`, "gu");

const name = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

// A list of what preact shows: strings, and marks where something is drawn.
export function drawn(text) {
  const out = [];
  let at = 0;
  text = String(text ?? "").replace(/\r\n/g, "\n");
  for (const found of text.matchAll(hostile)) {
    if (found.index > at) out.push(text.slice(at, found.index));
    out.push(html`<span class="hostile" title="a character that is not to be seen, drawn">⟨${name(found[0])}⟩</span>`);
    at = found.index + found[0].length;
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

// In one line.
export const line = (text) => drawn(String(text ?? "").replace(/\s*\n\s*/g, " ↵ "));

const digits = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (n) => (n == null ? "–" : digits.format(n));
export const short = (n) => (n == null ? "–" : n < 10000 ? digits.format(n) : compact.format(n));

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    unit++;
  }
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function duration(ns) {
  if (ns == null) return "–";
  const ms = ns / 1e6;
  return ms < 1 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 1e4 ? 2 : 1)} s`;
}

// "2026-01-31T12:00:00.123456789Z" as it stands in a list: everything here is UTC.
export const moment = (time) => (time ? `${time.slice(0, 10)} ${time.slice(11, 19)}` : "–");
export const clock = (time) => (time ? time.slice(11, 19) : "–");

export function ago(time) {
  const s = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  return s < 90 ? `${Math.round(s)} s ago` : s < 5400 ? `${Math.round(s / 60)} min ago` : s < 129600 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} days ago`;
}
