// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the collector. The session is a cookie, which scripts cannot see, and a key, which only this
// origin can: the link of `sallyport review` becomes both, once.

const KEY = "sallyport.key";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(method, path, headers, signal) {
  let response;
  try {
    response = await fetch(path, { method, headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The collector does not answer. Is it running?");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error || `The collector says ${response.status}.`);
  return body;
}

// parameters: [[name, value], …]; empty values are left out.
export function ask(question, parameters = [], signal = undefined) {
  const query = new URLSearchParams(parameters.filter(([, value]) => value !== "" && value != null));
  return call("GET", `/api/${question}?${query}`, { "X-Sallyport-Key": localStorage.getItem(KEY) || "" }, signal);
}

// Takes the link out of the address at once: it stays in no history.
export async function enter() {
  const link = /^#link=([0-9a-f]{64})$/.exec(location.hash);
  if (link) {
    history.replaceState(null, "", location.pathname + location.search);
    const { key } = await call("POST", "/api/session", { "X-Sallyport-Link": link[1] });
    localStorage.setItem(KEY, key);
  }
  return ask("whoami");
}

export async function leave() {
  await call("DELETE", "/api/session", { "X-Sallyport-Key": localStorage.getItem(KEY) || "" }).catch(() => {});
  localStorage.removeItem(KEY);
}
