// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Busy, Empty, Problem, useAnswer, useKeys } from "./page.js";
import { ago, count, line, size } from "./text.js";

function State({ good, children }) {
  return html`<li class="verdict ${good ? "good" : "bad"}"><span class="icon">${good ? "✓" : "⚠"}</span> ${children}</li>`;
}

export function Health() {
  const [turn, again] = useState(0);
  const { answer, error, loading } = useAnswer("health", [], turn);
  useKeys({ r: () => again(turn + 1) });
  const days = [...(answer?.days || [])].reverse();
  const sum = (name) => days.reduce((n, day) => n + day[name], 0);
  const last = days.map((day) => day.last).filter(Boolean).sort().at(-1);
  return html`<${Busy} on=${loading}/><header class="head"><h1>Health</h1></header><${Problem} error=${error}/>
    ${answer && html`<ul class="states panel">
      ${answer.unchecked ? html`<li class="verdict note"><span class="icon">?</span> whether events are missing was not found out in time: sallyport audit verify tells</li>`
    : html`<${State} good=${!answer.missing && !answer.twice}>${answer.missing || answer.twice ? `${count(answer.missing)} events are missing and ${count(answer.twice)} numbers are there twice, in the numbers of ${count(answer.streams)} processes` : `no event is missing, by the numbers of ${count(answer.streams)} processes`}</${State}>`}
      <${State} good=${!sum("conflicts")}>${sum("conflicts") ? `${count(sum("conflicts"))} events have the identity of another: forged` : "no event has the identity of another"}</${State}>
      <${State} good=${sum("unindexed") < 100000}>${sum("unindexed") ? `${count(sum("unindexed"))} events cannot be found by words yet` : "every event can be found by its words"}</${State}>
      <li class="quiet"><span class="icon">•</span> ${last ? `the newest event is of ${ago(last)}` : "no event yet"}; ${count(sum("events"))} events in ${count(days.length)} days, ${size(sum("bytes") + sum("index_bytes"))} in ${line(answer.store)}</li>
      <li class="quiet"><span class="icon">•</span> ${answer.retain_days ? `days older than ${count(answer.retain_days)} are removed` : "nothing is removed: see --retain"}${answer.removed ? `; ${count(answer.removed)} events came before the first that are there` : ""}</li></ul>
    ${answer.gaps.length > 0 && html`<section class="panel"><h2>Gaps</h2><table><thead><tr><th>appliance</th><th>life</th><th class="number">process</th><th>events</th><th>what</th></tr></thead>
      <tbody>${answer.gaps.map((gap) => html`<tr><td>${line(gap.observer)}</td><td class="mono">${line(gap.epoch)}</td><td class="number">${gap.stream}</td>
        <td>${gap.first === gap.last ? count(gap.first) : `${count(gap.first)} to ${count(gap.last)}`}</td><td><span class="verdict bad"><span class="icon">⚠</span> ${gap.twice ? "there twice" : "missing"}</span></td></tr>`)}</tbody></table></section>`}
    <section class="panel"><h2>Days</h2><table><thead><tr><th>day (UTC)</th><th class="number">events</th><th class="number">not found yet</th><th class="number">size</th><th class="number">of words</th><th class="number">per event</th></tr></thead>
      <tbody>${days.map((day) => html`<tr><td><a href=${`/explore?q=${encodeURIComponent(`since:${day.day}T00:00:00Z until:${next(day.day)}T00:00:00Z`)}`}>${day.day}</a></td><td class="number">${count(day.events)}</td><td class="number">${count(day.unindexed)}</td>
        <td class="number">${size(day.bytes)}</td><td class="number">${size(day.index_bytes)}</td><td class="number">${day.events ? size((day.bytes + day.index_bytes) / day.events) : "–"}</td></tr>`)}</tbody></table>
      ${!days.length && html`<${Empty}>No day has events yet.</${Empty}>`}</section>`}`;
}

const next = (day) => new Date(Date.parse(`${day}T00:00:00Z`) + 86400e3).toISOString().slice(0, 10);
