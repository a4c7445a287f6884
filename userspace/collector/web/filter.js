// SPDX-License-Identifier: GPL-2.0-or-later
// The filter line: `ip:10.20.0.0/16 action:deny since:24h words "and a phrase"`. It is what the API is
// asked, what the facets add to, and what stands in the address.

export const FIELDS = ["ip", "subject", "user", "model", "operation", "action", "outcome", "status", "error", "host", "backend", "attempts", "kind", "since", "until"];

// [{ field, value }, …]; a word has no field. What looks like a field and is none is a word.
export function parse(text) {
  const terms = [];
  const pattern = /(?:([a-z]+):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/g;
  for (const [whole, field, quoted, plain] of text.matchAll(pattern)) {
    const value = quoted !== undefined ? quoted.replace(/\\(.)/g, "$1") : plain;
    if (field && FIELDS.includes(field)) terms.push({ field, value });
    else terms.push({ value: field ? whole : value });
  }
  return terms;
}

const quote = (value) => (/^[^\s"\\]+$/.test(value) ? value : `"${value.replace(/(["\\])/g, "\\$1")}"`);
const term = ({ field, value }) => (field ? `${field}:${quote(value)}` : quote(value));

export const format = (terms) => terms.map(term).join(" ");

export const has = (text, field, value) => parse(text).some((t) => t.field === field && t.value === value);
export const get = (text, field) => parse(text).findLast((t) => t.field === field)?.value;

// A field has one value; without a value it is taken out.
export function set(text, field, value) {
  const terms = parse(text).filter((t) => t.field !== field);
  if (value) terms.push({ field, value });
  return format(terms);
}

// As parameters of the API.
export function parameters(text) {
  return parse(text).map(({ field, value }) => [field || "word", value]);
}

export const explore = (...terms) => `/explore?q=${encodeURIComponent(format(terms.filter((t) => t.value)))}`;

const SPANS = { h: 3600e3, d: 86400e3, m: 60e3, s: 1e3, w: 7 * 86400e3 };

// When it begins, in ms since 1970: of durations and of times with Z; NaN for others.
export function when(text, now = Date.now()) {
  const span = /^(\d+)([smhdw])$/.exec(text || "");
  return span ? now - span[1] * SPANS[span[2]] : /Z$/.test(text || "") ? Date.parse(text) : NaN;
}
