// SPDX-License-Identifier: GPL-2.0-or-later
// What the pages share: where we are, what is asked, keys, and small pieces to show.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./session.js";
import { drawn } from "./text.js";

/* ---- where we are ---- */

const listeners = new Set();

export function go(href, replace = false) {
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  if (!replace) scrollTo(0, 0);
  listeners.forEach((listen) => listen());
}

export function useLocation() {
  const [, turn] = useState(0);
  useEffect(() => {
    const listen = () => turn((n) => n + 1);
    listeners.add(listen);
    addEventListener("popstate", listen);
    return () => {
      listeners.delete(listen);
      removeEventListener("popstate", listen);
    };
  }, []);
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

// Links of the page do not load it anew.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});

/* ---- what is asked ---- */

// The answer, or the error; while another is awaited the last one stays. Without a question there is none.
export function useAnswer(question, parameters, again = 0) {
  const [state, set] = useState({ loading: true });
  const key = question + JSON.stringify(parameters) + again;
  useEffect(() => {
    if (!question) return set({ loading: false });
    const stop = new AbortController();
    set((last) => ({ ...last, loading: true }));
    ask(question, parameters, stop.signal).then(
      (answer) => set({ answer, loading: false }),
      (error) => error.name !== "AbortError" && set({ error, loading: false }));
    return () => stop.abort();
  }, [key]);
  return state;
}

/* ---- keys ---- */

const typing = (target) => /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);

// keys: { j() {…}, "/"() {…} }. A key is not taken while somebody types, but for Escape.
export function useKeys(keys) {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    const listen = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (typing(event.target) && event.key !== "Escape") return;
      const act = now.current[event.key];
      if (act && act(event) !== false) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

/* ---- pieces ---- */

export function Problem({ error }) {
  return error ? html`<p class="problem" role="alert"><span class="icon">⚠</span> ${drawn(error.message)}</p>` : null;
}

const VERDICTS = {
  allow: ["good", "✓", "allowed"], deny: ["bad", "✕", "denied"], drop: ["bad", "✕", "dropped"],
  bypass: ["note", "↷", "not inspected"], redact: ["note", "▤", "redacted"], throttle: ["note", "◔", "throttled"],
};

// What was decided and how it ended, in a word: never by colour alone.
export function Verdict({ event }) {
  const action = event["event.action"], outcome = event["event.outcome"];
  const [tone, icon, word] = VERDICTS[action] || ["note", "•", action || "no verdict"];
  const failed = outcome === "failure" && tone === "good";
  return html`<span class="verdict ${failed ? "bad" : tone}"><span class="icon">${failed ? "!" : icon}</span> ${failed ? "failed" : drawn(word)}</span>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

export function Busy({ on }) {
  return html`<div class=${on ? "busy on" : "busy"} role="status" aria-label=${on ? "asking" : ""}></div>`;
}

export const modelOf = (event) => event["gen_ai.response.model"] || event["gen_ai.request.model"];

// What is shown of an event that says nothing of a model.
export const subjectOf = (event) => modelOf(event) || event["tls.server_name"] || event["datapath.subject"] || event["event.kind"];

export const tokensOf = (event) => event["gen_ai.usage.total_tokens"] ??
  (event["gen_ai.usage.input_tokens"] == null ? undefined : event["gen_ai.usage.input_tokens"] + (event["gen_ai.usage.output_tokens"] || 0));
