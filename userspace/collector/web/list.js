// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { subjectOf, tokensOf, Verdict } from "./page.js";
import { count, line, moment } from "./text.js";

export const exchange = (event) => `/exchange/${encodeURIComponent(event["event.id"])}`;

// Events, a line each, which are links: the one that is chosen has the focus, so that Enter opens it.
export function List({ events, chosen, onChoose, fresh }) {
  const at = useRef();
  useLayoutEffect(() => {
    if (chosen >= 0) at.current?.querySelector(`[data-row="${chosen}"]`)?.focus({ preventScroll: false });
  }, [chosen]);
  return html`<div class="list" ref=${at} role="list" aria-label="events">
    <div class="row heading" aria-hidden="true"><span>time (UTC)</span><span>verdict</span><span>source</span><span>model</span><span class="number">status</span><span class="number">tokens</span><span>said</span></div>
    ${events.map((event, i) => html`<div role="listitem" key=${event.place}><a class="row ${i === chosen ? "chosen" : ""} ${fresh?.has(event.place) ? "fresh" : ""}"
        data-row=${i} href=${exchange(event)} aria-current=${i === chosen ? "true" : undefined}
        onFocus=${() => i !== chosen && onChoose?.(i)}>
      <span class="time" title=${event["@timestamp"]}>${moment(event["@timestamp"]).slice(5)}</span>
      <span><${Verdict} event=${event}/></span>
      <span class="mono">${line(event["source.ip"] || "–")}</span>
      <span>${line(subjectOf(event))}</span>
      <span class="number">${event["http.response.status_code"] ?? "–"}</span>
      <span class="number">${count(tokensOf(event))}</span>
      <span class="said">${event["event.conflict"] && html`<em class="bad">⚠ conflict </em>`}${event["error.type"] && html`<em>${line(event["error.type"])} </em>`}
        ${event.prompt && html`<q>${line(event.prompt)}</q>`} ${event.tool && html`<span class="quiet">→ ${line(event.tool)}</span>`}${event.answer && html`<span class="quiet">→ ${line(event.answer)}</span>`}</span>
    </a></div>`)}</div>`;
}
