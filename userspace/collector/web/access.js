// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Busy, Empty, Problem } from "./page.js";
import { ask } from "./session.js";
import { line, moment } from "./text.js";

const WHAT = { show: "opened an event", list: "saw a list", search: "searched", export: "exported", tail: "followed", conversations: "saw conversations" };
const BY = { page: "this page", socket: "the socket", command: "the command line" };

function Detail({ look }) {
  const id = /^id=(\S+)$/.exec(look.detail);
  return id ? html`<a class="mono" href=${`/exchange/${encodeURIComponent(id[1])}`}>${line(id[1])}</a>` : html`<span class="mono">${line(look.detail)}</span>`;
}

export function Access() {
  const [state, set] = useState({ looks: [], loading: true });
  const load = (before, looks) => ask("access", [["limit", 100], ["before", before]]).then(
    (answer) => set({ looks: [...looks, ...answer.looks], more: answer.looks.length === 100, loading: false }),
    (error) => set({ looks, error, loading: false }));
  useEffect(() => {
    load("", []);
  }, []);
  return html`<${Busy} on=${state.loading}/><header class="head"><h1>Access <small>who looked at what was said</small></h1></header><${Problem} error=${state.error}/>
    <div class="scroll"><table><thead><tr><th>time (UTC)</th><th>who</th><th>did</th><th>by</th><th>which</th></tr></thead>
      <tbody>${state.looks.map((look) => html`<tr key=${look.id}><td class="time">${moment(look.time)}</td><td>${line(look.who)}</td><td>${WHAT[look.what] || line(look.what)}</td>
        <td>${BY[look.by] || line(look.by)}</td><td><${Detail} look=${look}/></td></tr>`)}</tbody></table></div>
    ${!state.looks.length && !state.loading && !state.error && html`<${Empty}>Nobody has looked yet.</${Empty}>`}
    ${state.more && html`<button type="button" class="more" onClick=${() => load(state.looks.at(-1).id, state.looks)}>more</button>`}`;
}
