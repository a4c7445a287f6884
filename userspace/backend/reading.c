// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/reading.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define DIGITS_MAX 15 /* of a number: with a fraction of ns below 2^63 in every unit but hours */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number at the front of *text, which it advances, times unit; a fraction is allowed and
 * counts down to one. False: none, or too long. */
static bool take_number(struct slice *text, uint64_t unit, uint64_t *number)
{
	uint64_t whole = 0, part = 0, place = unit;
	size_t at = 0;

	while (at < text->len && is_digit(text->data[at])) {
		if (at == DIGITS_MAX)
			return false;
		whole = whole * 10 + (uint64_t)(text->data[at++] - '0');
	}
	if (!at)
		return false;
	if (at < text->len && text->data[at] == '.' && unit > 1) {
		if (++at == text->len || !is_digit(text->data[at]))
			return false;
		for (; at < text->len && is_digit(text->data[at]); at++) {
			place /= 10;
			part += place * (uint64_t)(text->data[at] - '0');
		}
	}
	if (__builtin_mul_overflow(whole, unit, number) ||
		__builtin_add_overflow(*number, part, number))
		*number = UINT64_MAX;
	*text = slice_after(*text, at);
	return true;
}

static uint64_t capped(uint64_t ns)
{
	return ns < READING_LONGEST_NS ? ns : READING_LONGEST_NS;
}

static bool read_count(struct slice value, uint64_t *count)
{
	return take_number(&value, 1, count) && !value.len;
}

static bool read_time(struct slice value, uint64_t unit, uint64_t *ns)
{
	uint64_t number;

	if (!take_number(&value, unit, &number) || value.len)
		return false;
	*ns = capped(number);
	return true;
}

/* "6m0s", "1.5s", "120ms", as OpenAI writes it, or a bare number of seconds, as Azure does. */
static bool read_reset(struct slice value, uint64_t *ns)
{
	static const struct {
		struct slice name;
		uint64_t ns;
	} units[] = {{{"ms", 2}, NS_PER_MS}, {{"us", 2}, 1000}, {{"ns", 2}, 1}, {{"s", 1}, NS_PER_S},
		{{"m", 1}, 60 * NS_PER_S}, {{"h", 1}, 3600 * NS_PER_S}, {{"d", 1}, 86400 * NS_PER_S}};
	uint64_t sum = 0;

	if (read_time(value, NS_PER_S, ns))
		return true;
	while (value.len) {
		size_t number = 0, unit = 0;
		struct slice digits;
		uint64_t part;

		while (number < value.len &&
			(is_digit(value.data[number]) || value.data[number] == '.'))
			number++;
		digits = slice_first(value, number);
		value = slice_after(value, number);
		while (unit < sizeof(units) / sizeof(units[0]) &&
			!slice_starts_with(value, units[unit].name))
			unit++;
		if (unit == sizeof(units) / sizeof(units[0]) ||
			!take_number(&digits, units[unit].ns, &part) || digits.len)
			return false;
		sum = capped(sum + capped(part));
		value = slice_after(value, units[unit].name.len);
		*ns = sum;
		if (!value.len)
			return true;
	}
	return false;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": the one form that is still sent (RFC 9110 section 5.6.7). */
static bool read_date(struct slice value, uint64_t now_s, uint64_t *ns)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char text[30], month[4], zone[4];
	struct tm when = {.tm_isdst = 0};
	const char *found;
	long long at;

	if (value.len != sizeof(text) - 1)
		return false;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s", &when.tm_mday, month,
		    &when.tm_year, &when.tm_hour, &when.tm_min, &when.tm_sec, zone) != 7 ||
		strcmp(zone, "GMT") != 0 || strlen(month) != 3)
		return false;
	found = strstr(months, month);
	if (!found || (found - months) % 3)
		return false;
	when.tm_mon = (int)(found - months) / 3;
	when.tm_year -= 1900;
	at = timegm(&when);
	*ns = at < 0 || (uint64_t)at <= now_s ? 0
	      : (uint64_t)at - now_s >= READING_LONGEST_NS / NS_PER_S
		      ? READING_LONGEST_NS
		      : ((uint64_t)at - now_s) * NS_PER_S;
	return true;
}

/* The most exact of the fields counts: the official clients go by the same order. */
static void take_pause(struct reading *reading, unsigned rank, uint64_t ns)
{
	if (reading->rank && reading->rank <= rank)
		return;
	reading->rank = rank;
	reading->pauses = true;
	reading->pause_ns = ns;
}

static void take_limit(struct reading *reading, struct slice name, struct slice value)
{
	size_t what_len = slice_index(name, '-');
	struct slice what = slice_first(name, what_len), of = slice_after(name, what_len + 1);
	struct reading_limit *limit = slice_equal_nocase(of, SLICE("requests")) ? &reading->requests
				      : slice_equal_nocase(of, SLICE("tokens")) ? &reading->tokens
										: NULL;

	if (!limit)
		return;
	if (slice_equal_nocase(what, SLICE("limit")))
		limit->has_limit = read_count(value, &limit->limit);
	else if (slice_equal_nocase(what, SLICE("remaining")))
		limit->has_remaining = read_count(value, &limit->remaining);
	else if (slice_equal_nocase(what, SLICE("reset")))
		limit->has_reset = read_reset(value, &limit->reset_ns);
}

void reading_field(
	struct reading *reading, struct slice name, struct slice value, uint64_t now_s)
{
	static const struct slice prefix = {"x-ratelimit-", 12};
	uint64_t ns;

	value = slice_trim(value);
	if (slice_equal_nocase(slice_first(name, prefix.len), prefix)) {
		take_limit(reading, slice_after(name, prefix.len), value);
		return;
	}
	if (slice_equal_nocase(name, SLICE("retry-after-ms"))) {
		if (read_time(value, NS_PER_MS, &ns))
			take_pause(reading, 1, ns);
	} else if (slice_equal_nocase(name, SLICE("x-ms-retry-after-ms"))) {
		if (read_time(value, NS_PER_MS, &ns))
			take_pause(reading, 2, ns);
	} else if (slice_equal_nocase(name, SLICE("retry-after"))) {
		if (read_time(value, NS_PER_S, &ns) || read_date(value, now_s, &ns))
			take_pause(reading, 3, ns);
	}
}
