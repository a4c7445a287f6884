// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limit_period.h"

#include <time.h>

/* Days since 1970-01-01 of a date (the proleptic Gregorian calendar). */
static int64_t day_number(int64_t year, int month, int day)
{
	int64_t era, of_era;

	year -= month <= 2;
	era = year / 400;
	of_era = (year % 400) * 365 + year % 400 / 4 - year % 400 / 100;
	return era * 146097 + of_era + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 -
	       719468;
}

/* The beginning of a day of this place; days and months may be beyond their ends. */
static uint64_t begin_of(int year, int month, int day)
{
	struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = day, .tm_isdst = -1};
	time_t at = mktime(&tm);

	return at > 0 ? (uint64_t)at : 0;
}

static struct limit_window calendar_window(enum limit_period period, uint64_t now_s)
{
	struct limit_window window = {.epoch = 0};
	time_t now = (time_t)now_s;
	int64_t number;
	struct tm tm;
	int monday;

	/* A clock that is beyond all calendars: what is used counts for good. */
	if (!localtime_r(&now, &tm))
		return (struct limit_window){.ends_s = UINT64_MAX};
	number = day_number(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	monday = tm.tm_mday - (tm.tm_wday + 6) % 7;
	if (period == LIMIT_DAY) {
		window.begins_s = begin_of(tm.tm_year, tm.tm_mon, tm.tm_mday);
		window.ends_s = begin_of(tm.tm_year, tm.tm_mon, tm.tm_mday + 1);
	} else if (period == LIMIT_WEEK) {
		number = (number + 3) / 7;
		window.begins_s = begin_of(tm.tm_year, tm.tm_mon, monday);
		window.ends_s = begin_of(tm.tm_year, tm.tm_mon, monday + 7);
	} else {
		number = (int64_t)tm.tm_year * 12 + tm.tm_mon;
		window.begins_s = begin_of(tm.tm_year, tm.tm_mon, 1);
		window.ends_s = begin_of(tm.tm_year, tm.tm_mon + 1, 1);
	}
	window.epoch = (uint16_t)number;
	return window;
}

struct limit_window limit_window_at(enum limit_period period, uint64_t now_s)
{
	static const uint64_t lengths_s[] = {
		[LIMIT_SECOND] = 1, [LIMIT_MINUTE] = 60, [LIMIT_HOUR] = 3600};
	uint64_t length_s;

	if (period == LIMIT_AT_ONCE)
		return (struct limit_window){.epoch = 1, .ends_s = UINT64_MAX};
	if (period > LIMIT_HOUR)
		return calendar_window(period, now_s);
	length_s = lengths_s[period];
	return (struct limit_window){
		.epoch = (uint16_t)(now_s / length_s),
		.begins_s = now_s / length_s * length_s,
		.ends_s = (now_s / length_s + 1) * length_s,
	};
}

void limit_window_move(enum limit_period period, uint64_t now_s, struct limit_window *window)
{
	if (now_s < window->begins_s || now_s >= window->ends_s)
		*window = limit_window_at(period, now_s);
}

const char *limit_period_name(enum limit_period period)
{
	static const char *const names[LIMIT_PERIODS] = {
		"second", "minute", "hour", "day", "week", "month", "at once"};

	return names[period];
}
