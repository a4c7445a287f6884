// SPDX-License-Identifier: GPL-2.0-or-later
#include "knob.h"

#include <stddef.h>

#define PREFIX	   SLICE("x-test-")
#define NUMBER_MAX 1000000000L

static const struct {
	const char *name;
	size_t offset;
} numbers[] =
	{
#define X(field, text) {text, offsetof(struct knob, field)},
		KNOB_NUMBERS(X)
#undef X
},
  words[] = {
#define X(field, text) {text, offsetof(struct knob, field)},
	  KNOB_WORDS(X)
#undef X
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void knob_reset(struct knob *knob)
{
	memset(knob, 0, sizeof(*knob));
	for (size_t i = 0; i < COUNT(numbers); i++)
		*(long *)(void *)((char *)knob + numbers[i].offset) = KNOB_ABSENT;
}

static long number_of(struct slice value)
{
	long number = 0;

	if (!value.len)
		return KNOB_ABSENT;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9' || number > NUMBER_MAX)
			return KNOB_ABSENT;
		number = number * 10 + (value.data[i] - '0');
	}
	return number;
}

static void take(struct knob *knob, struct slice name, struct slice value)
{
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (slice_equal_nocase(name, slice_of_string(numbers[i].name)))
			*(long *)(void *)((char *)knob + numbers[i].offset) = number_of(value);
	for (size_t i = 0; i < COUNT(words); i++) {
		struct knob_word *word = (void *)((char *)knob + words[i].offset);

		if (!slice_equal_nocase(name, slice_of_string(words[i].name)) ||
			value.len >= sizeof(word->text))
			continue;
		memcpy(word->text, value.data, value.len);
		word->text[value.len] = '\0';
	}
}

void knob_take_header(struct knob *knob, struct slice name, struct slice value)
{
	if (name.len > PREFIX.len && slice_equal_nocase(slice_first(name, PREFIX.len), PREFIX))
		take(knob, slice_after(name, PREFIX.len), value);
}

void knob_take_text(struct knob *knob, struct slice text)
{
	while (text.len) {
		struct slice inside, name;
		size_t end, equals;

		text = slice_after(text, slice_index(text, '[') + 1);
		if (!slice_starts_with(text, PREFIX))
			continue;
		end = slice_index(text, ']');
		if (end == text.len)
			return;
		inside = slice_after(slice_first(text, end), PREFIX.len);
		equals = slice_index(inside, '=');
		name = slice_first(inside, equals);
		if (equals < inside.len)
			take(knob, name, slice_after(inside, equals + 1));
	}
}
