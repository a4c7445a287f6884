// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { conversation } from "./conversation.js";
import { explore } from "./filter.js";
import { Busy, go, modelOf, Problem, subjectOf, tokensOf, useAnswer, useKeys, Verdict } from "./page.js";
import { count, drawn, duration, line, moment, size } from "./text.js";

const LONG = 6000; // characters that are shown at first

function Text({ text }) {
  const [all, show] = useState(false);
  return html`<p class="block">${drawn(all ? text : text.slice(0, LONG))}</p>
    ${!all && text.length > LONG && html`<button type="button" onClick=${() => show(true)}>the other ${count(text.length - LONG)} characters</button>`}`;
}

const Part = ({ part }) => html`${part.note && html`<span class="tag">${line(part.note)}</span>`}
  ${part.text != null ? html`<${Text} text=${part.text}/>` : html`<pre>${drawn(JSON.stringify(part.json, null, 2))}</pre>`}`;

// A call of a tool, and beside it what came back.
const Call = ({ call }) => html`<div class="call"><div><h4><span class="icon">⚙</span> ${line(call.name)}</h4><pre>${drawn(call.arguments)}</pre></div>
  <div><h4><span class="icon">↩</span> result</h4>${call.result ? call.result.map((part) => html`<${Part} part=${part}/>`) : html`<p class="quiet">none in this call</p>`}</div></div>`;

const ICONS = { system: "§", developer: "§", user: "☺", assistant: "◆", tool: "⚙" };
const icon = (role) => (Object.hasOwn(ICONS, role) ? ICONS[role] : "•"); // a client may call itself __proto__

function Message({ message }) {
  return html`<article class="message ${message.role === "assistant" ? "assistant" : message.role === "user" ? "user" : "other"}">
    <h3><span class="icon">${icon(message.role)}</span> ${line(message.role)} ${message.name && html`<span class="quiet">${line(message.name)}</span>`}${message.answer && html`<span class="tag">this answer</span>`}</h3>
    ${message.parts.map((part) => html`<${Part} part=${part}/>`)}
    ${message.calls.map((call) => html`<${Call} call=${call}/>`)}
    ${!message.parts.length && !message.calls.length && html`<p class="quiet">nothing</p>`}</article>`;
}

// Which facts stand at the top, and where each leads.
function Facts({ event }) {
  const usage = (name) => event[`gen_ai.usage.${name}`];
  const link = (field, value) => value != null && value !== "" && html`<a href=${explore({ field, value: String(value) })}>${line(value)}</a>`;
  const facts = [
    ["from", link("ip", event["source.ip"])], ["subject", link("subject", event["subject.name"])], ["user", link("user", event["gen_ai.request.user"])],
    ["client", event["user_agent.original"] && line(event["user_agent.original"])],
    ["asked", link("model", event["gen_ai.request.model"])], ["answered by", link("model", event["gen_ai.response.model"])],
    ["operation", link("operation", event["gen_ai.operation.name"])], ["host", link("host", event["tls.server_name"])],
    ["backend", link("backend", event["backend.name"])], ["status", link("status", event["http.response.status_code"])],
    ["error", link("error", event["error.type"])], ["because", event["error.message"] && line(event["error.message"])],
    ["rule", event["rule.name"] && line(event["rule.name"])],
    ["tokens", tokensOf(event) != null && `${count(usage("input_tokens"))} in, ${count(usage("output_tokens"))} out${usage("cache_read.input_tokens") ? `, ${count(usage("cache_read.input_tokens"))} of them cached` : ""}${usage("reasoning.output_tokens") ? `, ${count(usage("reasoning.output_tokens"))} reasoning` : ""}`],
    ["cost", event["cost.total"] != null && line(event["cost.total"])],
    ["took", event["timing.total"] != null && `${duration(event["timing.total"])}${event["timing.first_byte"] != null ? `, the first byte after ${duration(event["timing.first_byte"])}` : ""}`],
    ["bytes", event["bytes.request"] != null && `${size(event["bytes.request"])} asked, ${size(event["bytes.response"] || 0)} answered`],
    ["appliance", event["observer.name"] && line(event["observer.name"])],
  ];
  return html`<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

// Tries at backends in their order, where there were several: what became of each, and why it went on.
function Attempts({ attempts }) {
  if (!Array.isArray(attempts) || !attempts.length) return null;
  return html`<section class="panel"><h2>Attempts</h2><ol class="attempts">${attempts.map((attempt) => html`<li>
    <span class="verdict ${attempt.left ? "bad" : "good"}"><span class="icon">${attempt.left ? "✕" : "✓"}</span> ${attempt.left ? "left" : "answered"}</span>
    <b>${line(attempt.backend || attempt.address || "–")}</b> ${attempt.region && html`<span class="quiet">${line(attempt.region)}</span>`}
    <span>${attempt.connected === false ? "not connected" : attempt.status ? `status ${attempt.status}` : "no answer"}${attempt.first_byte ? `, first byte after ${duration(attempt.first_byte)}` : ""}</span>
    ${(attempt.left || attempt.error) && html`<span class="quiet">${line([attempt.left, attempt.error].filter(Boolean).join(": "))}</span>`}</li>`)}</ol></section>`;
}

export function Exchange({ id }) {
  const { answer, error, loading } = useAnswer("event", [["id", id]]);
  const [raw, showRaw] = useState(false), [history, showHistory] = useState(false);
  useEffect(() => {
    showHistory(false);
    showRaw(false);
  }, [id]);
  const near = (other) => other && go(`/exchange/${encodeURIComponent(other)}`, true); // Esc leads to the list still
  useKeys({
    "[": () => near(answer?.previous), "]": () => near(answer?.next),
    r: () => showRaw(!raw), h: () => showHistory(!history),
    Escape: () => { history_back(); },
  });
  if (!answer) return html`<${Busy} on=${loading}/><header class="head"><h1>Exchange</h1></header><${Problem} error=${error}/>`;
  const { event, previous, next, shared = 0 } = answer;
  const messages = conversation(event["gen_ai.input.messages"], event["gen_ai.output.messages"]);
  const old = messages.filter((message) => !message.answer && message.at < shared);
  const cut = event["gen_ai.input.messages.truncated"] || event["gen_ai.output.messages.truncated"];
  return html`<${Busy} on=${loading}/>
    <header class="head"><h1><${Verdict} event=${event}/> ${line(subjectOf(event))} <small>${moment(event["@timestamp"])} UTC</small></h1>
      <nav class="ranges" aria-label="conversation">
        <button type="button" disabled=${!previous} onClick=${() => near(previous)}><kbd>[</kbd> call before</button>
        <button type="button" disabled=${!next} onClick=${() => near(next)}>call after <kbd>]</kbd></button>
        <button type="button" aria-pressed=${raw ? "true" : "false"} onClick=${() => showRaw(!raw)}>raw <kbd>r</kbd></button></nav></header>
    <${Problem} error=${error}/>
    ${event["event.conflict"] && html`<p class="problem" role="alert"><span class="icon">⚠</span> Another event has the same identity: one of the two is forged.</p>`}
    <section class="panel"><${Facts} event=${event}/></section>
    <${Attempts} attempts=${event["attempts.made"]}/>
    ${raw ? html`<pre class="raw" tabindex="0">${drawn(JSON.stringify(event, null, 2))}</pre>` : html`
      ${old.length > 0 && html`<button type="button" class="fold" aria-expanded=${history ? "true" : "false"} onClick=${() => showHistory(!history)}>
        ${history ? "▾" : "▸"} ${count(old.length)} messages that were sent before <kbd>h</kbd></button>`}
      <div class="conversation">
        ${messages.filter((message) => history || !old.includes(message)).map((message, i) => html`<${Message} key=${i + id} message=${message}/>`)}
        ${!messages.length && html`<p class="empty">Nothing was said, or it is not recorded.</p>`}</div>
      ${cut && html`<p class="quiet">✂ Longer than what is recorded: a part is missing.</p>`}
      ${event["gen_ai.tools"] && html`<details class="panel"><summary>tools that were offered</summary><pre>${drawn(JSON.stringify(event["gen_ai.tools"], null, 2))}</pre></details>`}`}`;
}

// To the list from which it came; one that was opened by its address goes to a list.
function history_back() {
  if (history.length > 1) history.back();
  else go("/explore");
}
