// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/usage_sources.h"

#include <stdio.h>
#include <yyjson.h>

#include "cli/cell.h"

/* The sum over a JSON object of numbers. */
static uint64_t sum_of(struct slice drops)
{
	yyjson_doc *doc = drops.len ? yyjson_read(drops.data, drops.len, 0) : NULL;
	uint64_t sum = 0;
	yyjson_val *key;
	yyjson_obj_iter each;

	yyjson_obj_iter_init(yyjson_doc_get_root(doc), &each);
	while ((key = yyjson_obj_iter_next(&each)))
		sum += yyjson_get_uint(yyjson_obj_iter_get_val(key));
	yyjson_doc_free(doc);
	return sum;
}

static void print_heading(void)
{
	printf("%-39s %-16s %-20s %10s %12s %10s %12s %8s %8s %8s %8s %8s %8s\n", "SOURCE",
		"OBSERVER", "TOLD", "PACKETS", "BYTES", "PACKETS-TO", "BYTES-TO", "SYNS", "OPENED",
		"ACTIVE", "STEERED", "PASSED", "DROPPED");
}

static int print_source(void *context, const struct query_source *source)
{
	const struct review *review = context;

	if (review->json) {
		const struct query_event event = {
			.time_ns = source->time_ns, .record = source->record};

		return review_print_json(stdout, &event);
	}
	cell_print(stdout, 39, source->source_ip);
	cell_print(stdout, 16, source->observer);
	printf("%-20s", review_time_format(source->time_ns).text);
	printf(" %10llu %12llu %10llu %12llu %8llu %8llu %8llu %8llu %8llu %8llu\n",
		(unsigned long long)source->packets, (unsigned long long)source->bytes,
		(unsigned long long)source->packets_received,
		(unsigned long long)source->bytes_received, (unsigned long long)source->syns,
		(unsigned long long)source->opened, (unsigned long long)source->active,
		(unsigned long long)source->steered, (unsigned long long)source->passed,
		(unsigned long long)sum_of(source->drops));
	return 0;
}

int usage_sources(const struct review *review, const char *refused)
{
	struct query *query;
	struct why why = {""};
	int error = -1;

	if (refused) {
		fprintf(stderr, "sallyport usage: %s: not with --sources\n", refused);
		return 2;
	}
	query = review_open(review, NULL, &why);
	if (query) {
		if (!review->json)
			print_heading();
		error = query_sources(query, &review->filter, review->limit, print_source,
			(void *)(uintptr_t)review, &why);
	}
	query_close(query);
	if (error)
		fprintf(stderr, "sallyport usage: %s\n",
			why.text[0] ? why.text : "a record in the store cannot be read");
	return error ? 1 : 0;
}
