// SPDX-License-Identifier: GPL-2.0-or-later
// The template of appliance/azure for one appliance, for two, with everything and with nothing: each resource
// is one that Azure's own clients could ask for, and each reference leads to one that is made. And mistakes,
// which are found.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { deploy } from "./bicep.mjs";
import { schema_judge } from "./schema.mjs";

const path = join(dirname(fileURLToPath(import.meta.url)), "../../appliance/azure/appliance.bicep");
const text = readFileSync(path, "utf8");

const GIVEN = { imageId: "image", sshKey: "ssh-ed25519 A", collectorKey: "k".repeat(32) };
const EVERYTHING = { ...GIVEN, appliances: 2, vaultName: "vault", caSecret: "authority", eventHubNamespace: "hub",
	clientPrefixes: ["10.90.0.0/16"] };
const DEPLOYMENTS = {
	"one appliance": GIVEN,
	"two, with all that there is": EVERYTHING,
	"nothing besides": { ...GIVEN, collector: false },
};

// Those in a body, with where they stand.
function* references(value, at = "") {
	if (typeof value === "string" && value.startsWith("/r/"))
		yield [at, value];
	else if (value && typeof value === "object")
		for (const [key, one] of Object.entries(value))
			yield* references(key === "symbol" ? one.id : one, `${at}.${key}`);
}

// A resource that is made, or a part of one that its body names.
function leads(reference, resources) {
	for (const one of resources) {
		if (reference === one.id)
			return one.wanted;
		if (!one.wanted || !reference.startsWith(one.id + "/"))
			continue;
		const [collection, name, ...more] = reference.slice(one.id.length + 1).split("/");
		return !more.length && (one.body.properties?.[collection] ?? []).some(part => part.name === name);
	}
	return false;
}

function problems(text, parameters) {
	const found = [], { resources, unused } = deploy(text, path, parameters);
	for (const name of parameters === EVERYTHING ? unused : [])
		found.push(`${name}: nothing uses it`);
	for (const one of resources) {
		const tell = problem => found.push(`${one.type} ${one.body.name}: ${problem}`);
		if (!one.wanted)
			continue;
		if (!/^\d{4}-\d\d-\d\d$/.test(one.version))
			tell(`version ${one.version}`);
		if (!one.existing)
			schema_judge(one, tell);
		// What is not made is not waited for: dependsOn may name it.
		const { dependsOn, ...body } = one.body;
		for (const [at, reference] of references(body))
			if (!leads(reference, resources))
				tell(`${at}: ${reference} is nothing that is made`);
	}
	const ids = resources.filter(one => one.wanted).map(one => one.id);
	assert.equal(new Set(ids).size, ids.length);
	return { found, resources: resources.filter(one => one.wanted && !one.existing) };
}

for (const [name, parameters] of Object.entries(DEPLOYMENTS))
	test(`the template for ${name}`, () => assert.deepEqual(problems(text, parameters).found, []));

test("what is deployed", () => {
	const count = (parameters, type) => problems(text, parameters).resources.filter(one => one.type.endsWith(type)).length;
	assert.equal(count(GIVEN, "/virtualMachines"), 2);
	assert.equal(count(EVERYTHING, "/virtualMachines"), 3);
	assert.equal(count(GIVEN, "/loadBalancers"), 0);
	assert.equal(count(EVERYTHING, "/loadBalancers"), 1);
	assert.equal(count(EVERYTHING, "/roleAssignments"), 2);
	assert.equal(count(DEPLOYMENTS["nothing besides"], "/virtualMachines"), 1);
});

test("no word of the template is left in what the machines are given", () => {
	for (const one of problems(text, EVERYTHING).resources) {
		const data = one.body.properties?.osProfile?.customData;
		if (!data)
			continue;
		const given = Buffer.from(data, "base64").toString();
		assert.match(given, /^#cloud-config\n/);
		assert.doesNotMatch(given, /@[A-Z_]+@/);
		if (!one.body.name.endsWith("-collector"))
			assert.match(given, /content: "https:\/\/vault\.vault\.azure\.net\/secrets\/authority"/);
		assert.ok(data.length <= 87380); // Azure's bound
	}
});

const MISTAKES = [
	["loadDistribution: 'SourceIP'", "loadDistribtion: 'SourceIP'", "loadDistribtion: is not known"],
	["loadDistribution: 'SourceIP'", "loadDistribution: 'SourceIp'", "expected one of Default, SourceIP, SourceIPProtocol"],
	["'${vnet.id}/subnets/inside'", "'${vnet.id}/subnets/insid'", "is nothing that is made"],
	["'RouteTableEnabled'", "'RouteTablesEnabled'", "RouteTableEnabled"],
	["enableIPForwarding: true", "enableIPForwarding: 'true'", "expected boolean"],
	["nextHopType: 'VirtualAppliance'", "nexthopType: 'VirtualAppliance'", "nexthopType: is not known"],
	["principalId: machines[i].identity.principalId\n", "", "principalId: is missing"],
	["createOption: 'FromImage'", "createOption: 'FromImages'", "FromImage"],
	["publicIpAddresses: [", "publicIPAddresses: [", "publicIPAddresses: is not known"],
	["var nextHop =", "var nextHopp = 1\nvar nextHop =", "nextHopp: nothing uses it"],
];
for (const [right, wrong, told] of MISTAKES)
	test(`a mistake: ${wrong}`, () => {
		assert.ok(text.includes(right));
		const { found } = problems(text.replace(right, wrong), EVERYTHING);
		assert.ok(found.some(one => one.includes(told)), found.join("\n"));
	});

const BROKEN = [
	["insideAddresses[i]", "insideAdresses[i]", /insideAdresses is not declared/],
	["outsideAddresses[i]", "outsideAddresses[7]", /there is no 7/],
	["location: location\n", "location: location location\n", /expected , or }/],
	["loadTextContent('user-data.yaml')", "loadTextContent('no-data.yaml')", /ENOENT/],
];
for (const [right, wrong, told] of BROKEN)
	test(`what means nothing: ${wrong}`, () => {
		assert.ok(text.includes(right));
		assert.throws(() => problems(text.replace(right, wrong), GIVEN), told);
	});
