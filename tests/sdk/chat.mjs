// SPDX-License-Identifier: GPL-2.0-or-later
// What an application does with the official client; prints what it got as JSON.
//
//	node chat.mjs azure|azure-v1|openai HOST CALL
import OpenAI, { AzureOpenAI } from "openai";

const [, , dialect, host, call] = process.argv;
const messages = [{ role: "user", content: `sdk ${dialect} ${call}` }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  },
];

function client(options = {}) {
  if (dialect === "azure")
    return new AzureOpenAI({
      endpoint: `https://${host}`,
      apiKey: process.env.SDK_KEY ?? "sdk-key",
      apiVersion: "2024-10-21",
      deployment: "gpt-4o",
      ...options,
    });
  const baseURL = dialect === "openai" ? `https://${host}/v1` : `https://${host}/openai/v1`;
  return new OpenAI({ baseURL, apiKey: process.env.SDK_KEY ?? "sk-sdk-key", ...options });
}

async function collect(stream) {
  const got = { text: "", chunks: 0, usage: null, finish: null };
  for await (const chunk of stream) {
    got.chunks++;
    got.text += chunk.choices[0]?.delta?.content ?? "";
    got.finish = chunk.choices[0]?.finish_reason ?? got.finish;
    if (chunk.usage) got.usage = chunk.usage;
    if (chunk.choices.length === 0 && chunk.usage) got.usageChunk = true;
  }
  return got;
}

const calls = {
  async chat() {
    const answer = await client().chat.completions.create({ model: "gpt-4o", messages });
    return { text: answer.choices[0].message.content, model: answer.model, usage: answer.usage };
  },
  // What an application hears of a call that is denied.
  async denied() {
    try {
      const answer = await client().chat.completions.create({ model: "gpt-4o", messages });
      return { text: answer.choices[0].message.content };
    } catch (error) {
      return { name: error.constructor.name, status: error.status, code: error.code, message: error.message };
    }
  },
  async stream() {
    return collect(
      await client().chat.completions.create({ model: "gpt-4o", messages, stream: true }),
    );
  },
  async "stream-usage"() {
    return collect(
      await client().chat.completions.create({
        model: "gpt-4o",
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
  },
  async tools() {
    const answer = await client().chat.completions.create(
      { model: "gpt-4o", messages, tools },
      { headers: { "x-test-tools": "1" } },
    );
    return answer.choices[0].message.tool_calls[0].function;
  },
  async "stream-tools"() {
    const runner = client().chat.completions.stream(
      { model: "gpt-4o", messages, tools },
      { headers: { "x-test-tools": "1" } },
    );
    const answer = await runner.finalChatCompletion();
    return answer.choices[0].message.tool_calls[0].function;
  },
  async completion() {
    const answer = await client({ deployment: undefined }).completions.create({
      model: "gpt-35-turbo-instruct",
      prompt: messages[0].content,
    });
    return { text: answer.choices[0].text, usage: answer.usage };
  },
  async embeddings() {
    const answer = await client({ deployment: undefined }).embeddings.create({
      model: "text-embedding-3-small",
      input: messages[0].content,
      encoding_format: "float",
    });
    return { length: answer.data[0].embedding.length, usage: answer.usage };
  },
  async responses() {
    const answer = await client({ deployment: undefined }).responses.create({
      model: "gpt-5",
      input: messages[0].content,
    });
    return { text: answer.output_text, status: answer.status, usage: answer.usage };
  },
  async "responses-stream"() {
    const stream = client({ deployment: undefined }).responses.stream({
      model: "gpt-5",
      input: messages[0].content,
    });
    let events = 0;
    for await (const _ of stream) events++;
    const answer = await stream.finalResponse();
    return { text: answer.output_text, status: answer.status, usage: answer.usage, events };
  },
  async transcription() {
    const file = new File([new Uint8Array(100000)], "speech.mp3", { type: "audio/mpeg" });
    return client({ deployment: "gpt-4o-transcribe" }).audio.transcriptions.create({
      model: "gpt-4o-transcribe",
      prompt: messages[0].content,
      file,
    });
  },
  async together() {
    const openai = client();
    return Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const mine = [{ role: "user", content: `call ${i}` }];
        if (i % 2) {
          const answer = await openai.chat.completions.create({ model: "gpt-4o", messages: mine });
          return answer.choices[0].message.content;
        }
        const stream = await openai.chat.completions.create({
          model: "gpt-4o",
          messages: mine,
          stream: true,
        });
        return (await collect(stream)).text;
      }),
    );
  },
  // Many calls, eight at a time, whole and streamed, with the client's own defaults.
  async many() {
    const openai = client();
    const got = { answered: 0, wrong: [], failed: [] };
    let next = 0;
    async function run() {
      while (next < 160) {
        const i = next++;
        const mine = [{ role: "user", content: `many ${String(i).padStart(3, "0")}` }];
        try {
          const options = { model: "gpt-4o", messages: mine, stream: i % 2 === 1 };
          const answer = await openai.chat.completions.create(options);
          const text = i % 2 ? (await collect(answer)).text : answer.choices[0].message.content;
          if (text === `Answer to: ${mine[0].content}. t1 t2 t3 t4`) got.answered++;
          else got.wrong.push(text);
        } catch (error) {
          got.failed.push(`${i}: ${error.status} ${error.message}`);
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, run));
    return got;
  },
  // The native error of each dialect becomes the client's own exception.
  async refused() {
    return client({ maxRetries: 0 })
      .chat.completions.create(
        { model: "gpt-4o", messages },
        { headers: { "x-test-status": "401" } },
      )
      .then(
        () => ({ error: null }),
        (error) => ({ error: error.constructor.name, status: error.status, code: error.code }),
      );
  },
  // What the client makes of an origin whose certificate the appliance refuses.
  async unverified() {
    return client({ maxRetries: 0 })
      .chat.completions.create({ model: "gpt-4o", messages })
      .then(
        () => ({ error: null }),
        (error) => ({
          error: error.constructor.name,
          status: error.status,
          code: error.code,
          message: error.message,
        }),
      );
  },
};

console.log(JSON.stringify(await calls[call]()));
