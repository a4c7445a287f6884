// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bars, buckets } from "./chart.js";
import * as filter from "./filter.js";
import { exchange, List } from "./list.js";
import { useRange } from "./overview.js";
import { Busy, Empty, go, modelOf, Problem, tokensOf, useAnswer, useKeys, Verdict } from "./page.js";
import { ask } from "./session.js";
import { count, drawn, duration, line, moment } from "./text.js";

const PAGE = 50, EXPORT = 2000;
const TIMES = ["1h", "24h", "7d", "30d", ""];
const NAMES = { action: "verdict", outcome: "outcome", status: "status", error: "error", model: "model", operation: "operation", ip: "source", subject: "subject", user: "user", host: "host", backend: "backend" };

const to = (q) => `/explore${q ? `?q=${encodeURIComponent(q)}` : ""}`;

function Facets({ answer, q }) {
  const fields = [...new Set((answer?.facets || []).map((f) => f.field))];
  return html`<aside class="facets" aria-label="facets">
    ${fields.map((field) => html`<section><h3>${NAMES[field] || field}</h3><ul>
      ${answer.facets.filter((f) => f.field === field).map(({ value, events }) => {
        const on = filter.has(q, field, value);
        return html`<li><a href=${to(filter.set(q, field, on ? "" : value))} class=${on ? "on" : ""} aria-pressed=${on ? "true" : "false"} role="button">
          <span class="name">${on ? "✓ " : ""}${line(value)}</span><span class="number">${count(events)}</span></a></li>`;
      })}</ul></section>`)}
    ${answer && !answer.all && html`<p class="quiet">counted among the newest ${count(answer.sampled)}</p>`}
  </aside>`;
}

// What is known of the chosen event without opening it.
function Peek({ event, close }) {
  const facts = [["time (UTC)", moment(event["@timestamp"])], ["source", event["source.ip"]], ["user", event["gen_ai.request.user"]],
    ["host", event["tls.server_name"]], ["operation", event["gen_ai.operation.name"]], ["model", modelOf(event)],
    ["status", event["http.response.status_code"]], ["error", event["error.type"]], ["tokens", tokensOf(event) == null ? null : `${count(event["gen_ai.usage.input_tokens"])} in, ${count(event["gen_ai.usage.output_tokens"])} out`],
    ["took", event["timing.total"] == null ? null : duration(event["timing.total"])], ["backend", event["backend.name"]]];
  return html`<aside class="peek" aria-label="the chosen event"><header><${Verdict} event=${event}/>
      <a class="button" href=${exchange(event)}>open <kbd>Enter</kbd></a><button type="button" onClick=${close} aria-label="close">✕ <kbd>Esc</kbd></button></header>
    <dl>${facts.filter(([, value]) => value != null && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${line(value)}</dd>`)}</dl>
    ${event.prompt && html`<h3>asked last</h3><p class="block">${drawn(event.prompt)}</p>`}
    ${event.tool && html`<h3>calls a tool</h3><p class="block mono">${drawn(event.tool)}</p>`}
    ${event.answer && html`<h3>answered</h3><p class="block">${drawn(event.answer)}</p>`}</aside>`;
}

// Pages of the list, one after the other.
function usePages(q, reviewer) {
  const [state, set] = useState({ events: [], loading: true });
  const stop = useRef();
  const load = (before, events) => {
    stop.current?.abort();
    stop.current = new AbortController();
    set((last) => ({ ...last, loading: true }));
    ask("events", [...filter.parameters(q), ["limit", PAGE], ["before", before], ["content", reviewer ? 1 : 0]], stop.current.signal).then(
      (answer) => set({ ...answer, events: [...events, ...answer.events], loading: false }),
      (error) => error.name !== "AbortError" && set({ events, error, loading: false }));
  };
  useEffect(() => {
    load("", []);
    return () => stop.current?.abort();
  }, [q, reviewer]);
  return [state, () => state.more && !state.loading && load(state.events.at(-1).place, state.events)];
}

// The list as JSON lines, as the API gives it; the collector records that it was taken.
async function download(q, reviewer) {
  const words = filter.parse(q).some((t) => !t.field), lines = [];
  let before = "", more = true;
  while (more && lines.length < EXPORT) {
    const answer = await ask("events", [...filter.parameters(q), ["limit", 200], ["before", before], ["content", reviewer ? 1 : 0], ["export", 1]]);
    for (const { place, ...event } of answer.events) {
      lines.push(JSON.stringify(event));
      before = place;
    }
    more = answer.more && !words;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/x-ndjson" }));
  link.download = "events.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
}

export function Explore({ query, me }) {
  const q = query.get("q") || "", reviewer = me.role === "reviewer";
  const [chosen, choose] = useState(-1), [failed, fail] = useState(null), [text, type] = useState(q);
  const [list, more] = usePages(q, reviewer);
  const input = useRef();
  const fields = filter.parse(q).filter((t) => t.field), words = filter.parse(q).length - fields.length;
  const facets = useAnswer("facets", [...filter.parameters(filter.format(fields)), ["limit", 6]]);
  const range = useRange(new URLSearchParams({ since: filter.get(q, "since") || "7d", until: filter.get(q, "until") || "" }));
  const sums = useAnswer(words || filter.get(q, "kind") ? null : "usage",
    [...filter.parameters(filter.set(q, "since", filter.get(q, "since") || "7d")), ["by", `${range.by},outcome`], ["limit", 10000]]);
  useEffect(() => {
    choose(-1);
    fail(null);
    type(q);
  }, [q]);
  const step = (by) => {
    const next = Math.max(0, chosen + by);
    if (next < list.events.length) choose(next);
    if (next >= list.events.length - 1) more();
  };
  const time = filter.get(q, "since") || "";
  useKeys({
    "/": () => input.current.focus(),
    j: () => step(1), k: () => step(-1),
    Escape: () => {
      if (document.activeElement === input.current) input.current.blur();
      else choose(-1);
    },
    t: () => go(to(filter.set(q, "since", TIMES[(TIMES.indexOf(time) + 1) % TIMES.length])), true),
    f: () => document.querySelector(".facets a")?.focus(),
    e: () => download(q, reviewer).catch(fail),
  });
  const rows = sums.answer?.rows || [];
  const calls = buckets(rows, range.by, range.step, range.from, range.to, (row) => row.calls);
  const bad = buckets(rows.filter((row) => row.outcome === "failure"), range.by, range.step, range.from, range.to, (row) => row.calls);
  const iso = (s) => new Date(s * 1000).toISOString().replace(/\.\d+/, "");
  const event = list.events[chosen];
  return html`<${Busy} on=${list.loading || facets.loading || sums.loading}/>
    <header class="head"><h1>Explore</h1>
      <form class="filter" role="search" onSubmit=${(e) => { e.preventDefault(); go(to(text.trim())); input.current.blur(); }}>
        <input ref=${input} value=${text} onInput=${(e) => type(e.target.value)} spellcheck="false" autocomplete="off" aria-label="filter"
          placeholder=${reviewer ? 'ip:10.20.0.0/16 action:deny since:24h words "a phrase"' : "ip:10.20.0.0/16 action:deny since:24h"}/>
        <kbd>/</kbd></form>
      <button type="button" onClick=${() => download(q, reviewer).catch(fail)}>export <kbd>e</kbd></button></header>
    ${q && html`<p class="terms">${filter.parse(q).map((t, i, all) => html`<a href=${to(filter.format(all.filter((_, j) => j !== i)))} title="take it out">${t.field ? html`<b>${t.field}</b> ${line(t.value)}` : html`“${line(t.value)}”`} <span class="icon">✕</span></a>`)}</p>`}
    <${Problem} error=${failed || list.error || facets.error || sums.error}/>
    <div class="explore ${event ? "peeking" : ""}">
      <${Facets} answer=${facets.answer} q=${q}/>
      <div class="results">
        ${sums.answer && html`<section class="panel"><${Bars} label=${`calls by ${range.by}`} times=${calls.times} step=${range.step}
          series=${[{ label: `calls by ${range.by}: ${count(sums.answer.total.calls)}${filter.get(q, "since") ? "" : " in 7 days"}`, color: "--bar", values: calls.values }, { label: "of these failed", color: "--bar-bad", values: bad.values }]}
          onSpan=${(a, b) => go(to(filter.set(filter.set(q, "since", iso(Math.floor(a / range.step) * range.step)), "until", iso(Math.ceil(b / range.step) * range.step))))}/></section>`}
        ${list.lag && html`<p class="quiet">${count(list.lag)} events cannot be found by words yet${list.searchable ? `; searchable up to ${moment(list.searchable)}` : ""}</p>`}
        <${List} events=${list.events} chosen=${chosen} onChoose=${choose}/>
        ${!list.loading && !list.error && !list.events.length && html`<${Empty}>Nothing matches. Take a term out, or look further back.</${Empty}>`}
        ${list.more && !words && html`<button type="button" class="more" onClick=${more}>more</button>`}
        ${list.more && words > 0 && html`<p class="quiet">There are more than ${PAGE}: narrow it down by a time or a field.</p>`}
      </div>
      ${event && html`<${Peek} event=${event} close=${() => choose(-1)}/>`}
    </div>`;
}
