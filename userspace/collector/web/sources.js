// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { explore } from "./filter.js";
import { useRange, RangeBar } from "./overview.js";
import { Busy, Empty, Problem, useAnswer, useKeys } from "./page.js";
import { ago, count, line, short, size } from "./text.js";

// What the kernel counted of each address, beside what it used of AI.
export function Sources({ query }) {
  const range = useRange(query);
  const [turn, again] = useState(0);
  const told = useAnswer("sources", [["limit", 1000]], turn);
  const used = useAnswer("usage", [["by", "ip"], ["limit", 10000], ["since", range.since], ["until", range.until]], turn);
  useKeys({ r: () => again(turn + 1) });
  const rows = new Map();
  for (const row of used.answer?.rows || []) rows.set(row.ip, { ip: row.ip, use: row });
  for (const row of told.answer?.sources || []) rows.set(row.ip, { ...rows.get(row.ip), ...row });
  const all = [...rows.values()].sort((a, b) => (b.use?.total_tokens || 0) - (a.use?.total_tokens || 0) || (b.bytes || 0) - (a.bytes || 0));
  const drops = (text) => {
    try {
      return Object.entries(JSON.parse(text || "{}")).map(([reason, n]) => `${reason} ${n}`).join(", ");
    } catch {
      return text;
    }
  };
  return html`<${Busy} on=${told.loading || used.loading}/>
    <header class="head"><h1>Sources</h1><${RangeBar} range=${range} href=${(since) => `/sources?since=${since}`}/></header>
    <${Problem} error=${told.error || used.error}/>
    <div class="scroll"><table><thead><tr><th>address</th><th class="number">calls</th><th class="number">tokens</th><th class="number">sent</th><th class="number">received</th>
      <th class="number">connections</th><th class="number">to AI</th><th>dropped</th><th>told</th></tr></thead>
    <tbody>${all.map((row) => html`<tr><td class="mono">${row.ip ? html`<a href=${explore({ field: "ip", value: row.ip }, { field: "since", value: range.since })}>${line(row.ip)}</a>` : html`<i>none</i>`}</td>
      <td class="number">${count(row.use?.calls || 0)}</td><td class="number" title=${count(row.use?.total_tokens || 0)}>${short(row.use?.total_tokens || 0)}</td>
      <td class="number">${row.bytes == null ? "–" : size(row.bytes)}</td><td class="number">${row.bytes_received == null ? "–" : size(row.bytes_received)}</td>
      <td class="number">${row.opened == null ? "–" : count(row.opened)}</td><td class="number">${row.steered == null ? "–" : count(row.steered)}</td>
      <td>${row.drops ? html`<span class="verdict bad"><span class="icon">✕</span> ${line(drops(row.drops))}</span>` : ""}</td>
      <td class="quiet">${row.time ? ago(row.time) : "not yet"}</td></tr>`)}</tbody></table></div>
    ${!all.length && !told.loading && html`<${Empty}>No address has called, and the kernel has told of none yet.</${Empty}>`}
    <p class="quiet">Calls and tokens are of the time above; what the kernel counted, since the appliance started.</p>`;
}
