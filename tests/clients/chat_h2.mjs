// SPDX-License-Identifier: GPL-2.0-or-later
// What an application does with node:http2: both calls at the same time on one connection; prints what
// it got as JSON.
//
//	chat_h2.mjs URL PROMPT
import http2 from "node:http2";
import process from "node:process";

const [address, prompt] = process.argv.slice(2);
const url = new URL(address);
const session = http2.connect(url.origin);

function post(call, stream) {
  return new Promise((resolve, reject) => {
    let text = "";
    const request = session.request({
      ":method": "POST",
      ":path": url.pathname,
      "content-type": "application/json",
      authorization: "Bearer sk-http2",
    });
    request.setEncoding("utf8");
    request.on("data", (piece) => (text += piece));
    request.on("end", () => resolve(text));
    request.on("error", reject);
    request.end(
      JSON.stringify({
        model: "gpt-4o",
        stream,
        messages: [{ role: "user", content: `${prompt} ${call}` }],
      }),
    );
  });
}

const [whole, pieces] = await Promise.all([post("chat", false), post("stream", true)]);
const stream = pieces
  .split("\n")
  .filter((line) => line.startsWith("data: {"))
  .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "")
  .join("");
console.log(JSON.stringify({ chat: JSON.parse(whole).choices[0].message.content, stream }));
session.close();
