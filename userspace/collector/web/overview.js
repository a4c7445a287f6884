// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Bars, buckets } from "./chart.js";
import { explore, when } from "./filter.js";
import { exchange } from "./list.js";
import { Busy, Empty, go, Problem, subjectOf, useAnswer, useKeys } from "./page.js";
import { count, duration, line, short } from "./text.js";

const RANGES = [["1h", "last hour"], ["24h", "last day"], ["7d", "last week"], ["30d", "last 30 days"]];

// What a bar is, so that there are some dozens of them.
function grain(seconds) {
  return seconds <= 3 * 3600 ? ["minute", 60] : seconds <= 8 * 86400 ? ["hour", 3600] : ["day", 86400];
}

const iso = (s) => new Date(s * 1000).toISOString().replace(/\.\d+/, "");

export function useRange(query) {
  const since = query.get("since") || "24h", until = query.get("until") || "";
  const now = Date.now() / 1000;
  // Times that only the collector understands ("today") are shown as a day.
  const to = (until && when(until) / 1000) || now, from = when(since) / 1000 || to - 86400;
  const [by, step] = grain(to - from);
  return { since, until, from, to, by, step };
}

export function RangeBar({ range, href }) {
  const own = !RANGES.some(([since]) => since === range.since && !range.until);
  return html`<nav class="ranges" aria-label="time">
    ${RANGES.map(([since, name]) => html`<a href=${href(since, "")} class=${since === range.since && !range.until ? "on" : ""}
      aria-current=${since === range.since && !range.until ? "true" : undefined}>${name}</a>`)}
    ${own && html`<a class="on" aria-current="true" href=${href(range.since, range.until)}>${range.since.replace("T", " ")} – ${range.until.replace("T", " ") || "now"}</a>`}
  </nav>`;
}

function Figure({ value, name, href, tone, detail }) {
  return html`<a class="figure ${tone || ""}" href=${href}>
    <b title=${value == null ? "" : count(value)}>${short(value)}</b><span>${name}</span>${detail && html`<small>${detail}</small>`}</a>`;
}

// Where a panel has nothing: there is nothing, or it would take too long, which hinders no other.
const Late = ({ error }) => html`<${Empty}>${error ? "too many events in this time to tell: take a shorter one" : "none in this time"}</${Empty}>`;

// The first rows of a sum; each leads to its list.
function Top({ title, answer, error, field, link, measure, unit }) {
  const rows = answer?.rows || [];
  const most = Math.max(1, ...rows.map(measure));
  return html`<section class="panel top"><h2>${title}</h2>
    ${!rows.length && html`<${Late} error=${error}/>`}
    <ol>${rows.slice(0, 8).map((row) => html`<li><a href=${link(row)}>
      <span class="name">${row[field] ? line(row[field]) : html`<i>not told</i>`}</span>
      <span class="number" title=${count(measure(row))}>${short(measure(row))} <small>${unit}</small></span>
      <progress max=${most} value=${measure(row)} aria-hidden="true"></progress></a></li>`)}</ol></section>`;
}

export function Overview({ query }) {
  const range = useRange(query);
  const [turn, again] = useState(0);
  const time = [["since", range.since], ["until", range.until]];
  const ask = (by, limit, more = []) => useAnswer("usage", [["by", by], ["limit", limit], ...time, ...more], turn);
  const series = ask(`${range.by},action`, 10000), ends = ask("outcome", 10), verdicts = ask("action", 20);
  const sources = ask("ip", 8), models = ask("model", 8), users = ask("user", 8);
  const denied = ask("ip,error", 8, [["action", "deny"]]);
  const slow = useAnswer("events", [["slowest", 1], ["content", 0], ["limit", 8], ...time], turn);
  const all = [series, ends, verdicts, sources, models, users, denied, slow], main = [series, ends, verdicts];
  const of = (answer, field, value) => answer?.rows.find((row) => row[field] === value)?.calls || 0;
  const span = [{ field: "since", value: range.since }, { field: "until", value: range.until }];
  const link = (...terms) => explore(...terms, ...span);
  const href = (since, until) => `/?since=${encodeURIComponent(since)}${until ? `&until=${encodeURIComponent(until)}` : ""}`;
  useKeys({
    t: () => go(href(RANGES[(RANGES.findIndex(([since]) => since === range.since) + 1) % RANGES.length][0], "")),
    r: () => again(turn + 1),
  });
  const rows = series.answer?.rows || [];
  const calls = buckets(rows, range.by, range.step, range.from, range.to, (row) => row.calls);
  const no = buckets(rows.filter((row) => row.action === "deny"), range.by, range.step, range.from, range.to, (row) => row.calls);
  const total = verdicts.answer?.total;
  return html`<${Busy} on=${all.some((a) => a.loading)}/>
    <header class="head"><h1>Overview</h1><${RangeBar} range=${range} href=${href}/></header>
    <${Problem} error=${main.find((a) => a.error)?.error}/>
    <div class="figures">
      <${Figure} value=${total?.calls} name="calls" href=${link()}/>
      <${Figure} value=${total?.total_tokens} name="tokens" href=${link({ field: "outcome", value: "success" })}
        detail=${total && `${short(total.input_tokens)} in, ${short(total.output_tokens)} out`}/>
      <${Figure} value=${verdicts.answer && of(verdicts.answer, "action", "deny")} name="denied" tone="bad" href=${link({ field: "action", value: "deny" })}/>
      <${Figure} value=${ends.answer && of(ends.answer, "outcome", "failure")} name="failed" detail="with those denied" href=${link({ field: "outcome", value: "failure" })}/>
    </div>
    <section class="panel"><h2>Calls <small>by ${range.by}, UTC</small></h2>
      <${Bars} label=${`calls by ${range.by}`} times=${calls.times} step=${range.step}
        series=${[{ label: "calls", color: "--bar", values: calls.values }, { label: "of these denied", color: "--bar-bad", values: no.values }]}
        onSpan=${(from, to) => go(href(iso(Math.floor(from / range.step) * range.step), iso(Math.ceil(to / range.step) * range.step)))}/></section>
    <div class="columns">
      <${Top} title="Sources" answer=${sources.answer} error=${sources.error} field="ip" measure=${(r) => r.total_tokens} unit="tokens" link=${(r) => link({ field: "ip", value: r.ip })}/>
      <${Top} title="Models" answer=${models.answer} error=${models.error} field="model" measure=${(r) => r.total_tokens} unit="tokens" link=${(r) => link({ field: "model", value: r.model })}/>
      <${Top} title="Users" answer=${users.answer} error=${users.error} field="user" measure=${(r) => r.total_tokens} unit="tokens" link=${(r) => link({ field: "user", value: r.user })}/>
      <${Top} title="Denied, and why" error=${denied.error} field="what" unit="calls" measure=${(r) => r.calls}
        answer=${denied.answer && { rows: denied.answer.rows.map((r) => ({ ...r, what: `${r.ip || "no address"}  ${r.error || "by rule"}` })).sort((a, b) => b.calls - a.calls) }}
        link=${(r) => link({ field: "action", value: "deny" }, { field: "ip", value: r.ip }, { field: "error", value: r.error })}/>
      <section class="panel top"><h2>Slowest</h2>
        ${!slow.answer?.events.length && html`<${Late} error=${slow.error}/>`}
        <ol>${slow.answer?.events.map((event) => html`<li><a href=${exchange(event)}><span class="name">${line(subjectOf(event))} <small>${line(event["source.ip"] || "")}</small></span>
          <span class="number">${duration(event["timing.total"])}</span></a></li>`)}</ol></section>
    </div>`;
}
