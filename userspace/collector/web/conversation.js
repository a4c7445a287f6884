// SPDX-License-Identifier: GPL-2.0-or-later
// A conversation as both dialects have it (chat: messages; responses: items), in one form.

const parts = (content) => {
  if (content == null || content === "") return [];
  if (typeof content === "string") return [{ text: content }];
  if (!Array.isArray(content)) return [{ json: content }];
  return content.map((part) => {
    if (typeof part === "string") return { text: part };
    if (typeof part?.text === "string") return { text: part.text };
    if (typeof part?.refusal === "string") return { text: part.refusal, note: "refusal" };
    return { json: part, note: part?.type };
  });
};

const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return String(text ?? "");
  }
};

// One message or item; call: { id, name, arguments } for a tool that is called.
function entry(message) {
  if (message == null || typeof message !== "object") return { role: "user", parts: parts(String(message ?? "")), calls: [] };
  const calls = (message.tool_calls || []).map((call) => ({ id: call.id, name: call.function?.name || call.custom?.name || call.type,
    arguments: pretty(call.function?.arguments ?? call.custom?.input) }));
  if (message.function_call) calls.push({ id: message.function_call.name, name: message.function_call.name, arguments: pretty(message.function_call.arguments) });
  if (/_call$/.test(message.type || "")) {
    calls.push({ id: message.call_id || message.id, name: message.name || message.type, arguments: pretty(message.arguments ?? message.input ?? "") });
    if (message.output != null && message.type === "mcp_call") calls[calls.length - 1].result = [{ text: pretty(message.output) }];
    return { role: "assistant", parts: [], calls };
  }
  const answers = message.tool_call_id || (/_call_output$/.test(message.type || "") ? message.call_id : null);
  const said = parts(message.content ?? message.output ?? message.summary);
  if (message.refusal) said.push({ text: message.refusal, note: "refusal" });
  return { role: message.role || (answers ? "tool" : message.type) || "no role", name: message.name, answers, parts: said, calls };
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
