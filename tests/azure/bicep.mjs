// SPDX-License-Identifier: GPL-2.0-or-later
// As much of Bicep as appliance/azure is written in: what it means for given parameters. There is no compiler
// in Debian or npm. https://learn.microsoft.com/azure/azure-resource-manager/bicep/file

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const TOKEN = /([ \t\r]+|\/\/[^\n]*)|(\n)|('(?:\\.|\$\{[^}]*\}|[^'\\])*')|(\d+)|([A-Za-z_]\w*)|(==|!=|&&|\|\||=>|[{}[\]():,.=?!@])/y;

function* tokens(text) {
	let line = 1;
	TOKEN.lastIndex = 0;
	while (TOKEN.lastIndex < text.length) {
		const at = TOKEN.lastIndex, found = TOKEN.exec(text);
		if (!found)
			throw new Error(`line ${line}: unexpected ${JSON.stringify(text.slice(at, at + 20))}`);
		const [all, space, end, string, number, word, sign] = found;
		if (!space)
			yield { line, text: all, kind: end ? "end" : string ? "string" : number ? "number" : word ? "word" : sign };
		line += end ? 1 : 0;
	}
	yield { line, text: "", kind: "eof" };
}

// What is parsed is a function of the scope: (scope) => value.
class Parser {
	constructor(text, file) {
		this.tokens = [...tokens(text)];
		this.at = 0;
		this.file = file;
	}
	get next() { return this.tokens[this.at]; }
	fail(what) { throw new Error(`line ${this.next.line}: expected ${what}, found ${JSON.stringify(this.next.text)}`); }
	is(kind, text) { return this.next.kind === kind && (text === undefined || this.next.text === text); }
	take(kind, text) {
		if (!this.is(kind, text))
			this.fail(text ?? kind);
		return this.tokens[this.at++].text;
	}
	maybe(kind, text) { return this.is(kind, text) && !!++this.at; }
	ends() { while (this.maybe("end")); }
	// Whether that comes next, on this line or a later one.
	after(kind) {
		const at = this.at;
		this.ends();
		return this.is(kind) || (this.at = at, false);
	}

	list(close, item) {
		const items = [];
		for (this.ends(); !this.maybe(close); this.ends()) {
			items.push(item());
			if (!this.is(close) && !this.maybe(","))
				this.is("end") || this.fail(`, or ${close}`);
		}
		return items;
	}

	expression() {
		const condition = this.binary();
		if (!this.after("?"))
			return condition;
		this.take("?");
		this.ends();
		const yes = this.expression();
		this.ends();
		this.take(":");
		this.ends();
		const no = this.expression();
		return scope => condition(scope) ? yes(scope) : no(scope);
	}
	binary() {
		let left = this.unary();
		while (["==", "!=", "&&", "||"].includes(this.next.kind)) {
			const sign = this.take(this.next.kind), a = left, b = this.unary();
			left = { "==": s => a(s) === b(s), "!=": s => a(s) !== b(s), "&&": s => a(s) && b(s), "||": s => a(s) || b(s) }[sign];
		}
		return left;
	}
	unary() {
		if (this.maybe("!")) {
			const value = this.unary();
			return scope => !value(scope);
		}
		let value = this.primary();
		for (;;) {
			const of = value, line = this.next.line;
			if (this.maybe(".")) {
				const name = this.take("word");
				value = scope => member(of(scope), name, line);
			} else if (this.maybe("[")) {
				const index = this.expression();
				this.take("]");
				value = scope => member(of(scope), index(scope), line);
			} else {
				return value;
			}
		}
	}
	primary() {
		if (this.is("string"))
			return this.string();
		if (this.is("number")) {
			const number = Number(this.take("number"));
			return () => number;
		}
		if (this.is("{"))
			return this.object();
		if (this.maybe("["))
			return this.array();
		if (this.is("("))
			return this.lambda();
		const line = this.next.line, name = this.take("word");
		if (["true", "false", "null"].includes(name))
			return () => ({ true: true, false: false, null: null })[name];
		if (!this.maybe("("))
			return scope => scope.get(name, line);
		const words = this.list(")", () => this.expression());
		return scope => {
			if (!FUNCTIONS[name])
				throw new Error(`line ${line}: ${name}() is not known`);
			return FUNCTIONS[name](...words.map(word => word(scope)));
		};
	}
	string() {
		const parts = this.take("string").slice(1, -1).split(/\$\{([^}]*)\}/);
		const made = parts.map((part, i) => {
			if (i % 2)
				return new Parser(part, this.file).expression();
			const text = part.replace(/\\(.)/g, (_, one) => ({ n: "\n", r: "\r", t: "\t" })[one] ?? one);
			return () => text;
		});
		return scope => made.map(one => String(one(scope))).join("");
	}
	array() {
		this.ends();
		if (this.is("word", "for"))
			return this.loop(() => this.expression());
		const items = this.list("]", () => this.expression());
		return scope => items.map(item => item(scope));
	}
	// Behind its bracket: for NAME in EXPRESSION: BODY ]
	loop(body) {
		this.take("word", "for");
		const name = this.take("word");
		this.take("word", "in");
		const all = this.expression();
		this.take(":");
		const each = body();
		this.ends();
		this.take("]");
		return scope => all(scope).map(value => each(scope.with({ [name]: value })));
	}
	lambda() {
		this.take("(");
		const names = this.list(")", () => this.take("word"));
		this.take("=>");
		const body = this.expression();
		return scope => (...values) => body(scope.with(Object.fromEntries(names.map((name, i) => [name, values[i]]))));
	}
	object() {
		this.take("{");
		const inner = [];
		const items = this.list("}", () => {
			if (this.is("word", "resource")) {
				inner.push(this.resource());
				return null;
			}
			const line = this.next.line, key = this.is("string") ? this.take("string").slice(1, -1) : this.take("word");
			this.take(":");
			this.ends();
			return { line, key, value: this.expression() };
		}).filter(Boolean);
		return scope => {
			const made = {};
			for (const { line, key, value } of items) {
				if (key in made)
					throw new Error(`line ${line}: ${key} is there twice`);
				made[key] = value(scope);
			}
			if (inner.length)
				Object.defineProperty(made, "inner", { value: inner });
			return made;
		};
	}
	resource() {
		const line = this.next.line;
		this.take("word", "resource");
		const name = this.take("word"), type = this.take("string").slice(1, -1);
		const existing = this.maybe("word", "existing");
		this.take("=");
		const one = () => {
			let wanted = () => true;
			if (this.maybe("word", "if")) {
				this.take("(");
				wanted = this.expression();
				this.take(")");
			}
			const body = this.object();
			return scope => ({ wanted: wanted(scope), body: body(scope) });
		};
		const many = this.maybe("[");
		const made = many ? this.loop(one) : one();
		return { name, line, type, existing, many, made: scope => [made(scope)].flat() };
	}
	// A whole file.
	file_() {
		const file = { params: [], vars: [], resources: [], outputs: [] };
		for (this.ends(); !this.is("eof"); this.ends()) {
			if (this.maybe("@")) {
				this.expression();
			} else if (this.is("word", "resource")) {
				file.resources.push(this.resource());
			} else if (this.maybe("word", "param")) {
				const name = this.take("word"), type = this.take("word");
				file.params.push({ name, type, value: this.maybe("=") ? this.expression() : null });
			} else if (this.maybe("word", "var")) {
				const name = this.take("word");
				this.take("=");
				file.vars.push({ name, value: this.expression() });
			} else if (this.maybe("word", "output")) {
				const name = this.take("word");
				this.take("word");
				this.take("=");
				file.outputs.push({ name, value: this.expression() });
			} else {
				this.fail("param, var, resource or output");
			}
			this.is("eof") || this.take("end");
		}
		return file;
	}
}

// Of what a resource says only when it is there nothing is known.
class Later {
	constructor(what) { this.what = what; }
	toString() { return `<${this.what}>`; }
}

function member(of, name, line) {
	if (of instanceof Later)
		return new Later(`${of.what}.${name}`);
	if (of === null || of === undefined || !(name in Object(of)))
		throw new Error(`line ${line}: there is no ${name}`);
	return of[name];
}

class Scope {
	constructor(names, above) { this.names = names; this.above = above; this.used = above?.used ?? new Set(); }
	with(names) { return new Scope(names, this); }
	get(name, line) {
		for (let scope = this; scope; scope = scope.above)
			if (Object.hasOwn(scope.names, name)) {
				this.used.add(name);
				return scope.names[name];
			}
		throw new Error(`line ${line}: ${name} is not declared`);
	}
}

const id = (type, names) => {
	const [space, ...kinds] = type.split("/");
	return `/r/${space}/` + kinds.map((kind, i) => `${kind}/${names[i]}`).join("/");
};
let directory = ".";
const FUNCTIONS = {
	base64: text => Buffer.from(text).toString("base64"),
	concat: (...all) => all.flat(),
	empty: one => one.length === 0,
	environment: () => ({ suffixes: { keyvaultDns: ".vault.azure.net" } }),
	guid: (...words) => "guid of " + words.join("-"),
	join: (all, between) => all.join(between),
	loadTextContent: name => readFileSync(join(directory, name), "utf8"),
	range: (from, count) => Array.from({ length: count }, (_, i) => from + i),
	reduce: (all, first, f) => all.reduce((made, one) => f(made, one), first),
	replace: (text, from, to) => text.replaceAll(from, to),
	resourceGroup: () => ({ location: "here", id: "/r/group" }),
	resourceId: (type, ...names) => id(type, names),
	string: String,
	subscriptionResourceId: (type, ...names) => `/subscription/${type}/${names.join("/")}`,
	description: () => 0, secure: () => 0, minLength: () => 0, allowed: () => 0,
};

// The resources of a template's text for these parameters, and the names that nothing uses.
export function deploy(text, path, parameters) {
	const file = new Parser(text, path).file_();
	const names = {}, scope = new Scope(names), made = [];

	directory = dirname(path);
	for (const name of Object.keys(parameters))
		if (!file.params.some(one => one.name === name))
			throw new Error(`there is no parameter ${name}`);
	for (const { name, value } of file.params) {
		if (!(name in parameters) && !value)
			throw new Error(`the parameter ${name} has no value`);
		names[name] = name in parameters ? parameters[name] : value(scope);
	}
	for (const { name, value } of file.vars)
		names[name] = value(scope);

	const add = (resource, above, inner) => {
		const [type, version] = above ? [`${above.type}/${resource.type}`, above.version] : resource.type.split("@");
		const all = resource.made(inner).map(({ wanted, body }) => {
			const path = above ? [...above.names, body.name] : [body.name];
			const one = { type, version, names: path, id: id(type, path), wanted: wanted && (above?.wanted ?? true), body,
				existing: resource.existing, line: resource.line };
			made.push(one);
			for (const each of body.inner ?? [])
				add(each, one, inner);
			return { id: one.id, name: body.name, properties: new Later(resource.name),
				identity: new Later(resource.name), symbol: one };
		});
		names[resource.name] = resource.many ? all : all[0];
	};
	for (const resource of file.resources)
		add(resource, null, scope);
	for (const { value } of file.outputs)
		value(scope);
	const unused = [...file.params, ...file.vars].map(one => one.name).filter(name => !scope.used.has(name));
	return { resources: made, unused };
}
