// SPDX-License-Identifier: GPL-2.0-or-later
// What an application does with fetch, in Node.js, Deno and Bun; prints what it got as JSON.
//
//	chat.mjs URL PROMPT
import process from "node:process";

const [url, prompt] = process.argv.slice(2);

function post(call, stream) {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer sk-fetch" },
    body: JSON.stringify({
      model: "gpt-4o",
      stream,
      messages: [{ role: "user", content: `${prompt} ${call}` }],
    }),
  });
}

const chat = (await (await post("chat", false)).json()).choices[0].message.content;
let text = "";
const decoder = new TextDecoder();
for await (const chunk of (await post("stream", true)).body) text += decoder.decode(chunk, { stream: true });
const stream = text
  .split("\n")
  .filter((line) => line.startsWith("data: {"))
  .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "")
  .join("");
console.log(JSON.stringify({ chat, stream }));
