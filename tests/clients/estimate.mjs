// SPDX-License-Identifier: GPL-2.0-or-later
// Counts the tokens of texts with the vocabulary of the models:  echo '["text", …]' | node estimate.mjs
import { readFileSync } from "node:fs";
import { Tiktoken } from "js-tiktoken/lite";
import o200k from "js-tiktoken/ranks/o200k_base";

const encoding = new Tiktoken(o200k);
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((text) => encoding.encode(text).length)));
