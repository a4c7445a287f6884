// SPDX-License-Identifier: GPL-2.0-or-later
// Libraries that applications call models with, each as its documentation says: printed as JSON.
//
//	node libraries.mjs LIBRARY HOST
const [, , library, host] = process.argv;
const baseURL = `https://${host}/openai/v1`;
const apiKey = "client-key";

const libraries = {
  async agents() {
    const { Agent, Runner, OpenAIProvider, setTracingDisabled } = await import("@openai/agents");
    setTracingDisabled(true);
    const run = async (useResponses, stream) => {
      const runner = new Runner({ modelProvider: new OpenAIProvider({ baseURL, apiKey, useResponses }) });
      const agent = new Agent({ name: "helper", instructions: "Be kind.", model: "gpt-5" });
      const result = await runner.run(agent, "Hello", { stream });
      if (stream) await result.completed;
      return result.finalOutput;
    };
    return {
      responses: await run(true, false),
      responsesStream: await run(true, true),
      chat: await run(false, false),
      chatStream: await run(false, true),
    };
  },
  async vercel() {
    const { generateText, streamText, embed } = await import("ai");
    const { createOpenAI } = await import("@ai-sdk/openai");
    const openai = createOpenAI({ baseURL, apiKey });
    const prompt = "Hello";
    return {
      responses: (await generateText({ model: openai.responses("gpt-5"), prompt })).text,
      responsesStream: await streamText({ model: openai.responses("gpt-5"), prompt }).text,
      chat: (await generateText({ model: openai.chat("gpt-5"), prompt })).text,
      chatStream: await streamText({ model: openai.chat("gpt-5"), prompt }).text,
      embedding: (await embed({ model: openai.textEmbeddingModel("emb"), value: prompt })).embedding.length,
    };
  },
  async langchain() {
    const { ChatOpenAI, OpenAIEmbeddings } = await import("@langchain/openai");
    const configuration = { baseURL };
    const of = (useResponsesApi) => new ChatOpenAI({ model: "gpt-5", apiKey, configuration, useResponsesApi });
    const text = (message) => message.text ?? message.content;
    const streamed = async (model) => {
      let all = "";
      for await (const chunk of await model.stream("Hello")) all += text(chunk);
      return all;
    };
    const embeddings = new OpenAIEmbeddings({ model: "emb", apiKey, configuration, encodingFormat: "float" });
    return {
      chat: text(await of(false).invoke("Hello")),
      chatStream: await streamed(of(false)),
      responses: text(await of(true).invoke("Hello")),
      responsesStream: await streamed(of(true)),
      embedding: (await embeddings.embedQuery("Hello")).length,
    };
  },
  async anthropic() {
    const { Anthropic } = await import("@anthropic-ai/sdk");
    const anthropic = new Anthropic({ baseURL: `https://${host}/anthropic`, apiKey, maxRetries: 0 });
    const ask = { model: "claude", max_tokens: 100, messages: [{ role: "user", content: "Hello" }] };
    const stream = anthropic.messages.stream(ask);
    return {
      message: (await anthropic.messages.create(ask)).content[0].text,
      messageStream: (await stream.finalMessage()).content[0].text,
      refused: await anthropic.messages.create({ ...ask, model: "forbidden" }).then(
        () => "answered",
        (error) => `${error.constructor.name} ${error.status} ${error.error?.error?.type}`,
      ),
    };
  },
};

console.log(JSON.stringify(await libraries[library]()));
process.exit(0);
