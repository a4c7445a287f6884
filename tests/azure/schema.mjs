// SPDX-License-Identifier: GPL-2.0-or-later
// Bodies of resources against what Azure's own clients (npm, @azure/arm-*) know of them: names and types of
// properties, those that must be there and those that only Azure writes, values of enumerations.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

async function known(name, mappers, types) {
	const at = join(here, "node_modules", "@azure", name);
	// These files are modules, in packages that do not say so.
	const text = readFileSync(join(at, mappers), "utf8");
	return { classes: await import("data:text/javascript;base64," + Buffer.from(text).toString("base64")),
		declared: readFileSync(join(at, types), "utf8") };
}
const network = await known("arm-network", "dist-esm/src/models/mappers.js", "types/arm-network.d.ts");
const compute = await known("arm-compute", "dist/esm/models/mappers.js", "dist/esm/models/index.d.ts");
const eventhub = await known("arm-eventhub", "dist-esm/src/models/mappers.js", "types/arm-eventhub.d.ts");
const authorization = await known("arm-authorization", "dist-esm/src/models/mappers.js", "types/arm-authorization.d.ts");

const RESOURCES = {
	"Microsoft.Network/routeTables": [network, "RouteTable"],
	"Microsoft.Network/publicIPAddresses": [network, "PublicIPAddress"],
	"Microsoft.Network/natGateways": [network, "NatGateway"],
	"Microsoft.Network/networkSecurityGroups": [network, "NetworkSecurityGroup"],
	"Microsoft.Network/virtualNetworks": [network, "VirtualNetwork"],
	"Microsoft.Network/loadBalancers": [network, "LoadBalancer"],
	"Microsoft.Network/networkInterfaces": [network, "NetworkInterface"],
	"Microsoft.Compute/virtualMachines": [compute, "VirtualMachine"],
	"Microsoft.EventHub/namespaces": [eventhub, "EHNamespace"],
	"Microsoft.EventHub/namespaces/eventhubs": [eventhub, "Eventhub"],
	"Microsoft.Authorization/roleAssignments": [authorization, "RoleAssignmentCreateParameters"],
};

// Lists that are not complete, and say so.
const OPEN = ["vmSize"];

// The values of the enumeration that a client's property has; null: it is none.
function values(declared, className, property) {
	if (OPEN.includes(property))
		return null;
	const body = new RegExp(`interface ${className}\\b[^{]*\\{([\\s\\S]*?)\\n\\}`).exec(declared)?.[1] ?? "";
	const type = new RegExp(`^\\s+${property}\\??: (\\w+);`, "m").exec(body)?.[1];
	const list = type && new RegExp(`enum Known${type} \\{([\\s\\S]*?)\\n\\}`).exec(declared)?.[1];
	return list ? [...list.matchAll(/= "([^"]*)"/g)].map(one => one[1]) : null;
}

const SIMPLE = { String: "string", Number: "number", Boolean: "boolean", Uuid: "string" };

function judge(schema, type, value, path, tell, of) {
	const simple = SIMPLE[type.name];
	if (simple && typeof value !== simple && !(value?.what && simple === "string"))
		tell(`${path}: expected ${simple}, found ${JSON.stringify(value)}`);
	else if (type.name === "Enum" && !type.allowedValues.includes(value))
		tell(`${path}: expected ${type.allowedValues.join(", ")}, found ${JSON.stringify(value)}`);
	else if (type.name === "String" && of && typeof value === "string") {
		const all = values(schema.declared, of.className, of.property);
		if (all && !all.includes(value))
			tell(`${path}: expected one of ${all.join(", ")}, found ${value}`);
	} else if (type.name === "Sequence") {
		if (!Array.isArray(value))
			tell(`${path}: expected an array`);
		else
			value.forEach((one, i) => judge(schema, type.element.type, one, `${path}[${i}]`, tell));
	} else if (type.name === "Composite") {
		judge_object(schema, type.className, value, path, tell);
	}
}

// A client's property may stand deeper than in itself: "properties.addressPrefix".
function judge_object(schema, className, value, path, tell) {
	const properties = schema.classes[className].type.modelProperties, tree = {};
	if (typeof value !== "object" || value === null || Array.isArray(value))
		return tell(`${path}: expected an object, found ${JSON.stringify(value)}`);
	for (const [property, mapper] of Object.entries(properties)) {
		const parts = mapper.serializedName.split(/(?<!\\)\./).map(part => part.replaceAll("\\", ""));
		let at = tree;
		for (const part of parts.slice(0, -1))
			at = at[part] = at[part]?.inner ? at[part] : { inner: true };
		at[parts.at(-1)] = { leaf: mapper, property };
		if (mapper.required && !mapper.readOnly && parts.reduce((one, part) => one?.[part], value) === undefined)
			tell(`${path}.${parts.join(".")}: is missing`);
	}
	const walk = (node, object, path) => {
		for (const [key, one] of Object.entries(object)) {
			const here = path ? `${path}.${key}` : key, next = key === "inner" ? undefined : node[key];
			if (!next)
				tell(`${here}: is not known`);
			else if (!next.leaf)
				walk(next, one, here);
			else if (next.leaf.readOnly && !["id", "name", "type"].includes(key))
				tell(`${here}: is Azure's to write`);
			else
				judge(schema, next.leaf.type, one, here, tell, { className, property: next.property });
		}
	};
	walk(tree, value, path);
}

export function schema_judge(resource, tell) {
	const found = RESOURCES[resource.type];
	const { name, scope, dependsOn, ...body } = resource.body;
	if (!found)
		return tell("nothing is known of this type");
	if (typeof name !== "string")
		tell("name: is no string");
	judge_object(found[0], found[1], body, "", tell);
}
