// SPDX-License-Identifier: GPL-2.0-or-later
// The breadth of the official client, whichever of its versions: each call once, printed as JSON.
//
//	node doors.mjs PACKAGE HOST
const [, , name, host] = process.argv;
const { OpenAI, toFile } = await import(name);
const openai = new OpenAI({ baseURL: `https://${host}/openai/v1`, apiKey: "sdk-key", maxRetries: 0 });
const model = "gpt-5";
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

async function streamed(stream, text) {
  let all = "";
  for await (const event of stream) all += text(event) ?? "";
  return all;
}

const calls = {
  async chat() {
    return (await openai.chat.completions.create({ model, messages })).choices[0].message.content;
  },
  async chatStream() {
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    return streamed(stream, (chunk) => chunk.choices[0]?.delta?.content);
  },
  async tools() {
    const answer = await openai.chat.completions.create({ model, messages, tools, n: 1 });
    return answer.choices[0].message.content;
  },
  async structured() {
    const format = { type: "json_schema", json_schema: { name: "place", strict: true, schema } };
    const stream = openai.chat.completions.stream({ model, messages, response_format: format });
    return (await stream.finalChatCompletion()).choices[0].message.content;
  },
  async responses() {
    return (await openai.responses.create({ model, input: "Hello", store: false })).output_text;
  },
  async responsesStream() {
    const stream = await openai.responses.create({ model, input: messages, stream: true });
    return streamed(stream, (event) => (event.type === "response.output_text.delta" ? event.delta : ""));
  },
  async embeddings() {
    const answer = await openai.embeddings.create({ model: "emb", input: ["Hello"], encoding_format: "float" });
    return answer.data[0].embedding.length;
  },
  async image() {
    return (await openai.images.generate({ model: "gpt-image-1", prompt: "A cat" })).data[0].b64_json;
  },
  async imageEdit() {
    const image = await toFile(Buffer.from("png"), "cat.png", { type: "image/png" });
    return (await openai.images.edit({ model: "gpt-image-1", prompt: "A dog", image })).data[0].b64_json;
  },
  async speech() {
    const answer = await openai.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello" });
    return (await answer.arrayBuffer()).byteLength;
  },
  async transcription() {
    const file = await toFile(Buffer.alloc(5000), "a.wav", { type: "audio/wav" });
    return (await openai.audio.transcriptions.create({ model: "whisper-1", file })).text;
  },
  async moderation() {
    return (await openai.moderations.create({ input: "Hello" })).results[0].flagged;
  },
  async batch() {
    const line = { custom_id: "a", method: "POST", url: "/v1/responses", body: { model, input: "Hello" } };
    const file = await toFile(Buffer.from(`${JSON.stringify(line)}\n`), "calls.jsonl");
    const input = await openai.files.create({ file, purpose: "batch" });
    const batch = await openai.batches.create({
      input_file_id: input.id, endpoint: "/v1/responses", completion_window: "24h" });
    const done = await openai.batches.retrieve(batch.id);
    return (await (await openai.files.content(done.output_file_id)).text()).length;
  },
  async models() {
    return (await openai.models.list()).data.length;
  },
  async aborted() {
    const stop = new AbortController();
    const stream = await openai.chat.completions.create(
      { model, messages: [{ role: "user", content: "abort" }], stream: true }, { signal: stop.signal });
    for await (const _ of stream) break;
    stop.abort();
    return true;
  },
};

const got = {};
for (const [call, run] of Object.entries(calls)) {
  try {
    got[call] = await run();
  } catch (error) {
    got[call] = `${error.constructor.name}: ${error.message}`;
  }
}
console.log(JSON.stringify(got));
