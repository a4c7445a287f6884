// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/top_view.h"
#include "tests/support/printed.h"

#define SOURCES 30

struct scene {
	struct config *config;
	struct datapath_status before, now;
	struct datapath_source sources[2][SOURCES];
	struct traffic traffic;
	struct top_view view;
	struct printed printed;
};

/* Thirty sources; the i-th sent i packets of 100 bytes a second, got none, and half were steered.
 */
static int scene_make(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	if (config_parse("f",
		    SLICE("appliance: {name: gate}\ndatapath: {inside: eth1, fail: open}\n"),
		    &s->config, NULL) < 0)
		return -1;
	s->before = (struct datapath_status){
		.read_ns = 10 * NS_PER_S, .sources = s->sources[0], .nsources = SOURCES};
	s->now = (struct datapath_status){.read_ns = 12 * NS_PER_S,
		.swept_ns = 9 * NS_PER_S,
		.inside = "eth1",
		.workers = 4,
		.alive = 3,
		.steer = {.attached = true},
		.select = {.attached = true},
		.rule4 = true,
		.route4 = true,
		.sources = s->sources[1],
		.nsources = SOURCES};
	for (unsigned i = 0; i < SOURCES; i++) {
		struct datapath_source *before = &s->sources[0][i], *now = &s->sources[1][i];

		address_parse("10.0.0.0", &now->address);
		now->address.bytes[15] = (uint8_t)i;
		before->address = now->address;
		now->counters.packets = 2 * i;
		now->counters.bytes = 200 * i;
		now->counters.steered_packets = i;
		now->active = 1;
	}
	if (traffic_read(&s->traffic, &s->before, &s->now) < 0)
		return -1;
	s->view = (struct top_view){.config = s->config,
		.kernel = &s->now,
		.traffic = &s->traffic,
		.sorted = column_find("bytes/s")};
	traffic_sort(&s->traffic, s->view.sorted, false);
	*state = s;
	return 0;
}

static int scene_free(void **state)
{
	struct scene *s = *state;

	traffic_free(&s->traffic);
	config_free(s->config);
	printed_free(&s->printed);
	free(s);
	return 0;
}

static const char *shown(struct scene *s)
{
	FILE *out = printed_begin(&s->printed);

	top_view_print(&s->view, out);
	return printed_end(&s->printed);
}

static size_t lines_of(const char *text, size_t *longest)
{
	size_t lines = 0, len;

	for (*longest = 0; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len > *longest)
			*longest = len;
		lines++;
	}
	return lines;
}

static void the_totals_stand_above_the_table(void **state)
{
	const char *text = shown(*state);

	/* 0 + 1 + … + 29 = 435 packets a second, of 100 bytes */
	assert_shown(text, "inspected; record: unknown; workers: 3 of 4 alive; fail: open; "
			   "gate on eth1, ");
	assert_shown(text, "from: 435 packets/s 348k bits/s  to: 0.0 packets/s 0.0 bits/s  "
			   "steered: 50.0 %  drops: 0.0/s\n");
	assert_shown(text, "connections: 30 active (counted 3 s ago), 0.0 new/s  sources: 30\n");
}

static void what_is_not_inspected_is_said(void **state)
{
	struct scene *s = *state;

	s->now.alive = 0;
	assert_shown(shown(s), "NOT INSPECTED; record: unknown; workers: 0 of 4 alive");
	s->view.record = (struct record_state){.told = true, .blocked = true};
	s->view.width = 36;
	assert_shown(shown(s), "NOT INSPECTED; record: BLOCKED; work\n");
}

static void without_bounds_all_is_shown(void **state)
{
	const char *text = shown(*state);

	for (size_t i = 1; i < ncolumns; i++)
		assert_shown(text, columns[i].name);
	assert_shown(text, "\n10.0.0.29 ");
	assert_shown(text, "\n10.0.0.0 ");
	assert_true(strstr(text, "\n10.0.0.29 ") < strstr(text, "\n10.0.0.28 "));
}

static void it_fits_every_terminal(void **state)
{
	struct scene *s = *state;

	for (size_t width = 1; width < 240; width += 3)
		for (size_t height = 1; height < 40; height += 2) {
			size_t lines, longest;

			s->view.width = width;
			s->view.height = height;
			lines = lines_of(shown(s), &longest);
			assert_in_range(lines, 1, height);
			assert_in_range(longest, 0, width);
		}
}

static void the_sorted_column_is_always_in_sight(void **state)
{
	struct scene *s = *state;

	s->view.width = 80;
	s->view.height = 24;
	for (size_t i = 0; i < ncolumns; i++) {
		char heading[64];

		s->view.sorted = &columns[i];
		snprintf(heading, sizeof(heading), "[%s]", columns[i].name);
		assert_shown(shown(s), heading);
		assert_shown(s->printed.text, "address");
	}
}

static void rows_are_limited(void **state)
{
	struct scene *s = *state;
	size_t longest;

	s->view.most = 3;
	assert_int_equal(lines_of(shown(s), &longest), TOP_VIEW_HEADING + 1 + 3);
}

static const char *name_of(void *context, const struct address *address)
{
	return address->bytes[15] == 29 ? context : NULL;
}

static void names_stand_beside_the_addresses_and_are_cut(void **state)
{
	struct scene *s = *state;

	s->view.name_of = name_of;
	s->view.context = "a.host.with.quite.a.long.name.that.somebody.chose.example";
	assert_shown(shown(s), "\n10.0.0.29 a.host.with.quite.a.long.name.that.someb ");
	assert_shown(s->printed.text, "\n10.0.0.28                                          ");
	s->view.width = 80;
	assert_shown(shown(s), "\n10.0.0.29 a.host.with.quite.a. ");
}

static void one_reading_shows_totals_only(void **state)
{
	struct scene *s = *state;

	traffic_free(&s->traffic);
	assert_int_equal(traffic_read(&s->traffic, NULL, &s->now), 0);
	assert_shown(shown(s), "\nrates come with the second reading\n");
	assert_shown(s->printed.text, "- new/s");
}

static void the_keys_are_explained(void **state)
{
	struct scene *s = *state;

	s->view.help = true;
	assert_shown(shown(s), "\nq               end\n");
	assert_null(strstr(s->printed.text, "10.0.0.29"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_totals_stand_above_the_table),
		TEST(what_is_not_inspected_is_said),
		TEST(without_bounds_all_is_shown),
		TEST(it_fits_every_terminal),
		TEST(the_sorted_column_is_always_in_sight),
		TEST(rows_are_limited),
		TEST(names_stand_beside_the_addresses_and_are_cut),
		TEST(one_reading_shows_totals_only),
		TEST(the_keys_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
