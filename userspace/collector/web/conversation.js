// SPDX-License-Identifier: GPL-2.0-or-later
// A conversation as both dialects have it (chat: messages; responses: items), in one form.

// Whoever calls the service writes what he likes where a text or a list belongs.
const plain = (value) => (typeof value === "string" ? value : value == null ? "" : JSON.stringify(value));
const list = (value) => (Array.isArray(value) ? value : []);

const parts = (content) => {
  if (content == null || content === "") return [];
  if (typeof content === "string") return [{ text: content }];
  if (!Array.isArray(content)) return [{ json: content }];
  return content.map((part) => {
    if (typeof part === "string") return { text: part };
    if (typeof part?.text === "string") return { text: part.text };
    if (typeof part?.refusal === "string") return { text: part.refusal, note: "refusal" };
    return { json: part, note: plain(part?.type) };
  });
};

const pretty = (text) => {
  try {
    return JSON.stringify(typeof text === "string" ? JSON.parse(text) : text ?? "", null, 2);
  } catch {
    return text;
  }
};

// One message or item; call: { id, name, arguments } for a tool that is called.
function entry(message) {
  if (message == null || typeof message !== "object") return { role: "user", parts: parts(String(message ?? "")), calls: [] };
  const type = plain(message.type), called = message.function_call;
  const calls = list(message.tool_calls).map((call) => ({ id: call?.id, name: plain(call?.function?.name || call?.custom?.name || call?.type),
    arguments: pretty(call?.function?.arguments ?? call?.custom?.input) }));
  if (called) calls.push({ id: called.name, name: plain(called.name), arguments: pretty(called.arguments) });
  if (/_call$/.test(type)) {
    calls.push({ id: message.call_id || message.id, name: plain(message.name) || type, arguments: pretty(message.arguments ?? message.input ?? "") });
    if (message.output != null && type === "mcp_call") calls[calls.length - 1].result = [{ text: pretty(message.output) }];
    return { role: "assistant", parts: [], calls };
  }
  const answers = message.tool_call_id || (/_call_output$/.test(type) ? message.call_id : null);
  const said = parts(message.content ?? message.output ?? message.summary);
  if (message.refusal) said.push({ text: plain(message.refusal), note: "refusal" });
  return { role: plain(message.role) || (answers ? "tool" : type) || "no role", name: plain(message.name), answers, parts: said, calls };
}

// What was sent, then what was answered, in order; results of tools stand with their calls.
export function conversation(input, output) {
  const sent = (Array.isArray(input) ? input : input == null ? [] : [input]).map((m, i) => ({ ...entry(m), at: i }));
  const answered = (Array.isArray(output) ? output : output == null ? [] : [output]).map((m) => ({ ...entry({ role: "assistant", ...m }), answer: true }));
  const calls = new Map();
  const all = [...sent, ...answered];
  for (const message of all) for (const call of message.calls) if (call.id) calls.set(call.id, call);
  return all.filter((message) => {
    const call = message.answers && calls.get(message.answers);
    if (!call || call.result) return true;
    call.result = message.parts;
    call.answered = message.at;
    return false;
  });
}
