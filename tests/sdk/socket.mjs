// SPDX-License-Identifier: GPL-2.0-or-later
// What an application does with the official client over WebSocket; prints what it got as JSON.
//
//	node socket.mjs realtime|responses BASE_URL PROMPT
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { ResponsesWS } from "openai/resources/responses/ws";

const [, , kind, baseURL, prompt] = process.argv;
const client = new OpenAI({ baseURL, apiKey: "sk-socket" });
const item = { type: "message", role: "user", content: [{ type: "input_text", text: prompt }] };
const got = { events: [] };

function end(socket) {
  socket.on("close", (code) => console.log(JSON.stringify({ ...got, code })));
}

if (kind === "realtime") {
  const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime" }, client);
  end(realtime.socket);
  realtime.on("event", (event) => got.events.push(event.type));
  realtime.on("error", (error) => (got.error = error.message));
  realtime.on("response.done", (event) => {
    got.usage = event.response.usage;
    realtime.close();
  });
  realtime.socket.on("open", () => {
    realtime.send({ type: "conversation.item.create", item });
    realtime.send({ type: "response.create" });
  });
} else {
  const responses = new ResponsesWS(client);
  end(responses.socket);
  responses.on("event", (event) => got.events.push(event.type));
  responses.on("error", (error) => (got.error = error.message));
  responses.on("response.completed", (event) => {
    got.usage = event.response.usage;
    responses.close();
  });
  responses.send({ type: "response.create", model: "gpt-5", input: [item] });
}
