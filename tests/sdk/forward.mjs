// SPDX-License-Identifier: GPL-2.0-or-later
// Loggers and a receiver of the Forward protocol that nobody here wrote:
//	node forward.mjs send PORT KEY MODE N	@fluent-org/logger, N events, each acknowledged
//	node forward.mjs old PORT KEY N		fluent-logger, likewise
//	node forward.mjs serve PORT KEY		a server of @fluent-org/logger: a line of JSON per event
import { FluentClient, FluentServer } from "@fluent-org/logger";
import old from "fluent-logger";

const [what, port, key, ...rest] = process.argv.slice(2);

async function send(mode, n) {
	const client = new FluentClient("other", {
		eventMode: mode,
		ack: { ackTimeout: 20000 },
		socket: { host: "127.0.0.1", port: Number(port), timeout: 10000 },
		...(key ? { security: { clientHostname: "node", sharedKey: key } } : {}),
	});
	const sent = [];
	for (let i = 0; i < n; i++)
		sent.push(client.emit("call", { "event.kind": "exchange", number: i, mode }));
	await Promise.all(sent);
	await client.disconnect();
}

function emit(logger, record) {
	return new Promise((done, fail) =>
		logger.emit("call", record, (error) => (error ? fail(error) : done())));
}

async function sendOld(n) {
	const logger = old.createFluentSender("other", {
		host: "127.0.0.1",
		port: Number(port),
		timeout: 10,
		requireAckResponse: true,
		ackResponseTimeout: 20000,
		...(key ? { security: { clientHostname: "node", sharedKey: key } } : {}),
	});
	for (let i = 0; i < n; i++)
		await emit(logger, { "event.kind": "exchange", number: i, mode: "old" });
	logger.end();
}

async function serve() {
	const server = new FluentServer({
		listenOptions: { host: "127.0.0.1", port: Number(port) },
		...(key ? { security: { serverHostname: "server", sharedKey: key } } : {}),
	});
	server.on("entry", (tag, time, record) =>
		process.stdout.write(JSON.stringify({ tag, id: record["event.id"],
			input: record["gen_ai.input.messages"] }) + "\n"));
	await server.listen();
	process.stdout.write("ready\n");
}

if (what === "send")
	await send(rest[0], Number(rest[1]));
else if (what === "old")
	await sendOld(Number(rest[0]));
else
	await serve();
