// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_rules.h"

#include <assert.h>
#include <string.h>

#define NO_RULE 0xff

void json_rules_index(struct json_rules *index, const struct json_rule *rules, size_t n)
{
	assert(n <= JSON_RULES_MAX);
	index->rules = rules;
	memset(index->first, NO_RULE, sizeof(index->first));
	for (size_t i = n; i-- > 0;) {
		assert(rules[i].parent < JSON_RULES_MAX && rules[i].node < JSON_RULES_MAX);
		index->next[i] = index->first[rules[i].parent];
		index->left[i] = 1;
		if (index->next[i] != NO_RULE)
			index->left[i] = (uint8_t)(index->left[index->next[i]] + 1);
		assert(index->left[i] <= JSON_RULES_OF_ONE);
		index->first[rules[i].parent] = (uint8_t)i;
	}
}

static bool rule_matches(const struct json_rule *rule, struct slice key)
{
	const char *name = rule->key;

	if (!name)
		return true;
	for (size_t i = 0; i < key.len; i++)
		if (!name[i] || name[i] != key.data[i])
			return false;
	return !name[key.len];
}

#define EVERY(byte) (0x0101010101010101ULL * (byte))

/* Whether one of eight bytes is NUL, a capital letter, or outside ASCII. */
static bool word_is_odd(uint64_t word)
{
	uint64_t low = word & EVERY(0x7f);
	uint64_t letters = (low + EVERY(0x80 - 'A')) & ~(low + EVERY(0x80 - 'Z' - 1));

	return (word | letters | ~(low + EVERY(0x7f))) & EVERY(0x80);
}

/* Whether a key has bytes that no name of a table has. */
static bool key_is_odd(struct slice key)
{
	uint64_t word;

	for (; key.len >= sizeof(word); key = slice_after(key, sizeof(word))) {
		memcpy(&word, key.data, sizeof(word));
		if (word_is_odd(word))
			return true;
	}
	word = EVERY('_');
	memcpy(&word, key.data, key.len);
	return word_is_odd(word);
}

/* As readers that ignore case, or end at a NUL, take the key: the characters outside of ASCII are
 * those whose other case is in it (Unicode, CaseFolding.txt and SpecialCasing.txt). */
static struct slice key_fold(struct slice key, char folded[JSON_RULES_KEY])
{
	static const struct {
		struct slice from;
		char to;
	} others[] = {{{"\xc5\xbf", 2}, 's'}, {{"\xe2\x84\xaa", 3}, 'k'}, {{"\xc4\xb0", 2}, 'i'},
		{{"\xc4\xb1", 2}, 'i'}};
	size_t len = 0;

	while (key.len && key.data[0]) {
		char c = key.data[0];
		size_t used = 1;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			if (slice_starts_with(key, others[i].from)) {
				c = others[i].to;
				used = others[i].from.len;
			}
		folded[len++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		key = slice_after(key, used);
	}
	return slice_of(folded, len);
}

/* Whether other readers may take the key for one of the table. */
static bool is_alike(const struct json_rules *index, uint8_t parent, struct slice key)
{
	char memory[JSON_RULES_KEY];
	struct slice folded;

	if (!key_is_odd(key))
		return false;
	folded = key_fold(key, memory);
	for (uint8_t i = index->first[parent]; i != NO_RULE; i = index->next[i])
		if (index->rules[i].key &&
			slice_equal(folded, slice_of_string(index->rules[i].key)))
			return true;
	return false;
}

static uint8_t rule_find(const struct json_rules *index, uint8_t parent, struct slice key)
{
	uint8_t i = index->first[parent];

	while (i != NO_RULE && !rule_matches(&index->rules[i], key))
		i = index->next[i];
	return i;
}

uint8_t json_rules_element(const struct json_rules *index, uint8_t parent)
{
	uint8_t i = rule_find(index, parent, SLICE_NONE);

	return i == NO_RULE ? 0 : index->rules[i].node;
}

struct json_rules_found json_rules_member(
	const struct json_rules *index, uint8_t parent, struct slice key, uint64_t *seen)
{
	uint8_t i = rule_find(index, parent, key);
	struct json_rules_found found = {.node = i == NO_RULE ? 0 : index->rules[i].node};

	if (i == NO_RULE || !index->rules[i].key) {
		found.doubtful = is_alike(index, parent, key);
		found.doubt = JSON_DOUBT_FORM;
	} else {
		uint64_t bit = (uint64_t)1 << (index->left[i] - 1);

		found.doubtful = *seen & bit;
		found.doubt = JSON_DOUBT_TWICE;
		*seen |= bit;
	}
	return found;
}
