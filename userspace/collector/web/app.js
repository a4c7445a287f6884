// SPDX-License-Identifier: GPL-2.0-or-later
import { html, render } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Access } from "./access.js";
import { Conversations } from "./conversations.js";
import { Exchange } from "./exchange.js";
import { Explore } from "./explore.js";
import { Health } from "./health.js";
import { Live } from "./live.js";
import { Overview } from "./overview.js";
import { go, Problem, useKeys, useLocation } from "./page.js";
import { enter, leave } from "./session.js";
import { Sources } from "./sources.js";
import { line } from "./text.js";

const PAGES = [["/", "Overview", Overview, "◫"], ["/explore", "Explore", Explore, "⌕"], ["/live", "Live", Live, "●"],
  ["/sources", "Sources", Sources, "⇄"], ["/health", "Health", Health, "♡"], ["/access", "Access", Access, "◎", "reviewer"],
  ["/conversations", "Conversations", Conversations, "❝", "reviewer"]];

const KEYS = [["/", "write a filter"], ["j  k", "the next event, the one before"], ["Enter", "open it"], ["Esc", "back, or leave the filter"],
  ["[  ]", "the call before and after, of the conversation"], ["t", "another time"], ["f", "go to the facets"], ["e", "export the list"], ["r", "ask again; raw JSON of an exchange"],
  ["h", "what was sent before, of an exchange"], ["Space", "let the live list stand still"], ["1 – 7", "the pages"], ["?", "this help"]];

function Help({ close }) {
  const at = useRef();
  useEffect(() => {
    at.current.showModal();
  }, []);
  return html`<dialog ref=${at} onClose=${close} aria-label="keys"><h2>Keys</h2><dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <form method="dialog"><button>close <kbd>Esc</kbd></button></form></dialog>`;
}

function Outside({ error }) {
  return html`<main class="outside"><img src="/favicon.svg" alt="" width="48" height="48"/><h1>sallyport</h1>
    <p>This page shows what people and programs said to AI services. It opens with a link that is good once:</p>
    <pre>sallyport review</pre><p class="quiet">on this machine, as a user who may review.</p><${Problem} error=${error}/></main>`;
}

// Of /exchange/ID; an address that is broken is no page.
function idOf(path) {
  try {
    return decodeURIComponent(/^\/exchange\/(.+)$/.exec(path)?.[1] || "");
  } catch {
    return "";
  }
}

function App() {
  const { path, query } = useLocation();
  const [me, know] = useState(null), [error, fail] = useState(null), [help, ask] = useState(false);
  useEffect(() => {
    enter().then(know, fail);
  }, []);
  const pages = PAGES.filter(([, , , , role]) => !role || role === me?.role);
  useKeys({ "?": () => ask(!help), ...Object.fromEntries(pages.map(([href], i) => [String(i + 1), () => go(href)])) });
  const id = idOf(path);
  const page = pages.find(([href]) => href === path);
  useEffect(() => {
    document.title = `${id ? "Exchange" : page?.[1] || "sallyport"} · sallyport`;
  }, [path, me]);
  if (error) return html`<${Outside} error=${error.status === 401 ? null : error}/>`;
  if (!me) return null;
  return html`<a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.getElementById("content").focus(); }}>to the content</a>
    <nav class="rail" aria-label="pages"><a class="brand" href="/"><img src="/favicon.svg" alt="" width="26" height="26"/> <b>sallyport</b></a>
      ${pages.map(([href, name, , icon]) => html`<a href=${href} class=${href === path || (href === "/explore" && id) ? "on" : ""} aria-current=${href === path ? "page" : undefined}><span class="icon" aria-hidden="true">${icon}</span> ${name}</a>`)}
      <div class="who"><span title="your session"><span class="icon" aria-hidden="true">☺</span> ${line(me.who)}</span><small>${me.role === "reviewer" ? "reviewer: sees what was said" : "operator: sees numbers"}</small>
        <button type="button" onClick=${() => ask(true)}>keys <kbd>?</kbd></button>
        <button type="button" onClick=${() => leave().then(() => { know(null); fail({ status: 401 }); })}>leave</button></div></nav>
    <main id="content" tabindex="-1">
      ${id ? html`<${Exchange} key="exchange" id=${id}/>` : page ? html`<${page[2]} key=${page[0]} query=${query} me=${me}/>`
        : html`<header class="head"><h1>There is no such page</h1></header><p><a href="/">Overview</a></p>`}</main>
    ${help && html`<${Help} close=${() => ask(false)}/>`}`;
}

render(html`<${App}/>`, document.body);
