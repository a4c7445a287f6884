// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { explore } from "./filter.js";
import { exchange } from "./list.js";
import { useRange, RangeBar } from "./overview.js";
import { Busy, Empty, Problem, useAnswer, useKeys } from "./page.js";
import { count, line, moment, short } from "./text.js";

// Calls that belong together: the last of them has all that was said.
export function Conversations({ query }) {
  const range = useRange(query);
  const [turn, again] = useState(0);
  const told = useAnswer("conversations", [["limit", 100], ["since", range.since], ["until", range.until]], turn);
  useKeys({ r: () => again(turn + 1) });
  const all = told.answer?.conversations || [];
  return html`<${Busy} on=${told.loading}/>
    <header class="head"><h1>Conversations <small>what is sent again with each call, together</small></h1><${RangeBar} range=${range} href=${(since) => `/conversations?since=${since}`}/></header>
    <${Problem} error=${told.error}/>
    <div class="scroll"><table><thead><tr><th>last (UTC)</th><th>source</th><th>model</th><th class="number">calls</th><th class="number">messages</th><th class="number">tokens</th><th>asked</th></tr></thead>
      <tbody>${all.map((row) => html`<tr key=${row["event.id"]}><td class="time" title=${`since ${row.first}`}><a href=${exchange(row)}>${moment(row.last)}</a></td>
        <td class="mono">${row.ip ? html`<a href=${explore({ field: "ip", value: row.ip }, { field: "since", value: range.since })}>${line(row.ip)}</a>` : "–"}</td>
        <td>${line(row.model || "–")}</td><td class="number">${count(row.calls)}</td><td class="number">${count(row.messages)}</td>
        <td class="number" title=${count(row.tokens)}>${short(row.tokens)}</td><td><q>${line(row.question)}</q></td></tr>`)}</tbody></table></div>
    ${!all.length && !told.loading && !told.error && html`<${Empty}>Nobody has said anything in this time.</${Empty}>`}
    ${told.answer?.cut && html`<p class="quiet">There are more calls than were put together: choose a shorter time.</p>`}`;
}
