// SPDX-License-Identifier: GPL-2.0-or-later
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { List } from "./list.js";
import { Empty, Problem, useKeys } from "./page.js";
import { ask } from "./session.js";

const PAUSE_MS = 2000, SHOWN = 60;

// Who calls now. What was said is not shown here: each look at it is recorded, and this looks often.
export function Live() {
  const [state, set] = useState({ events: [] }), [paused, pause] = useState(false), [chosen, choose] = useState(-1);
  const known = useRef(null);
  useEffect(() => {
    if (paused) return undefined;
    const stop = new AbortController();
    let timer;
    const look = async () => {
      try {
        const { events } = await ask("events", [["kind", "all"], ["limit", SHOWN], ["content", 0]], stop.signal);
        const fresh = new Set(known.current ? events.filter((e) => !known.current.has(e.place)).map((e) => e.place) : []);
        known.current = new Set(events.map((e) => e.place));
        set({ events, fresh });
      } catch (error) {
        if (error.name === "AbortError") return;
        set((last) => ({ ...last, error }));
      }
      timer = setTimeout(look, PAUSE_MS);
    };
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [paused]);
  const step = (by) => {
    pause(true);
    choose(Math.min(state.events.length - 1, Math.max(0, chosen + by)));
  };
  useKeys({ " ": () => pause(!paused), j: () => step(1), k: () => step(-1), Escape: () => { choose(-1); pause(false); } });
  return html`<header class="head"><h1>Live <small>${paused ? "⏸ it stands still" : "● every two seconds"}</small></h1>
      <button type="button" aria-pressed=${paused ? "true" : "false"} onClick=${() => pause(!paused)}>${paused ? "go on" : "stand still"} <kbd>Space</kbd></button></header>
    <${Problem} error=${state.error}/>
    <${List} events=${state.events} chosen=${chosen} onChoose=${(i) => { pause(true); choose(i); }} fresh=${state.fresh}/>
    ${!state.events.length && html`<${Empty}>Nothing yet.</${Empty}>`}`;
}
