// SPDX-License-Identifier: GPL-2.0-or-later
/* make bench-store: what the collector's store takes and what its questions cost. Chunks as an
 * appliance sends them are read, stored and committed one after the other, as with one sender; each
 * event has two KiB of content in four messages, half of them known from the call before. Then the
 * questions are asked. It only measures: nothing here is a test.
 *
 *	store [EVENTS [DIRECTORY]]	default 200000, in a directory of /tmp that is removed */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "audit/event.h"
#include "audit/forward_client.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "collector/forward_server.h"
#include "collector/query.h"
#include "collector/store.h"

#define BATCH	  500
#define EVENTS	  200000
#define AGENTS	  64  /* conversations at a time */
#define MESSAGE	  450 /* bytes of one */
#define ADDRESSES 2000

struct bench {
	struct store *store;
	char path[128];
	uint64_t random, begun_ns, number, span_ns;
	char last[AGENTS][4][MESSAGE];
};

static void fail(const char *what, const struct why *why)
{
	fprintf(stderr, "bench-store: %s: %s\n", what, why->text);
	exit(1);
}

static uint64_t next(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

/* Words of a small language: text that packs about as text does. */
static void make_message(struct bench *b, char out[MESSAGE])
{
	size_t len = (size_t)snprintf(out, MESSAGE, "{\"role\":\"user\",\"content\":\"");

	while (len < MESSAGE - 24) {
		uint64_t word = next(b) % 4096;

		word = word * word / 4096; /* some are more frequent */
		len += (size_t)snprintf(out + len, MESSAGE - len, "%c%c%llx ",
			(char)('a' + word % 26), (char)('a' + word / 26 % 26),
			(unsigned long long)(word * 2654435761u % 65536));
	}
	snprintf(out + len, MESSAGE - len, "\"}");
}

/* Two messages are those that the conversation ended with, two are new. */
static void make_event(struct bench *b, struct event *event, char *content, char id[40])
{
	static const char *const models[] = {"gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18",
		"o3-2025-04-16", "gpt-4.1-2025-04-14"};
	uint64_t n = b->number++, agent = next(b) % AGENTS;
	uint64_t random[2] = {next(b), next(b)};
	char(*messages)[MESSAGE] = b->last[agent];
	struct uuid_text uuid;
	char address[32];

	memcpy(messages[0], messages[2], 2 * MESSAGE);
	make_message(b, messages[2]);
	make_message(b, messages[3]);
	snprintf(content, 4 * MESSAGE + 16, "[%s,%s,%s]", messages[0], messages[1], messages[2]);
	event->time_ns = b->begun_ns + n * (b->span_ns / EVENTS);
	uuid = uuid_v7(event->time_ns, (const uint8_t *)random);
	memcpy(id, uuid.text, sizeof(uuid.text));
	event->epoch = SLICE("0123456789abcdef");
	event->stream = event_number(1 + n % 2);
	event->sequence = event_number(1 + n / 2);
	event->id = slice_of_string(id);
	event->kind = SLICE("exchange");
	event->action = SLICE("allow");
	event->outcome = n % 20 ? SLICE("success") : SLICE("failure");
	event->observer = SLICE("gate");
	event->tls_server_name = SLICE("res-a.openai.azure.com");
	event->server_address = SLICE("res-a.openai.azure.com");
	event->method = SLICE("POST");
	event->path = SLICE("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21");
	event->user_agent = SLICE("OpenAI/Python 1.51.0");
	event->operation = SLICE("chat");
	event->provider = SLICE("azure.ai.openai");
	event->backend_name = n % 3 ? SLICE("east") : SLICE("west");
	event->response_model = slice_of_string(models[next(b) % 4]);
	event->response_id = SLICE("chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012");
	event->usage_source = SLICE("provider");
	event->finish_reasons = SLICE("[\"stop\"]");
	event->status = event_number(n % 20 ? 200 : 429);
	event->input_tokens = event_number(next(b) % 4000);
	event->output_tokens = event_number(next(b) % 1000);
	event->total_tokens = event_number(event->input_tokens.value + event->output_tokens.value);
	event->timing_total = event_number(next(b) % 20000000000);
	event->timing_first_byte = event_number(next(b) % 2000000000);
	event->bytes_request = event_number(next(b) % 20000);
	event->bytes_response = event_number(next(b) % 20000);
	event->attempts = event_number(1);
	event->source_port = (uint16_t)next(b);
	snprintf(address, sizeof(address), "10.20.%u.%u", (unsigned)(agent * 31 % ADDRESSES / 250),
		(unsigned)(agent * 31 % 250 + 1));
	address_parse(address, &event->source_ip);
	event->input_messages = slice_of_string(content);
	event->output_messages = slice_of(NULL, 0);
}

static int add(void *context, const struct forward_entry *entry)
{
	struct why why = {""};

	if (store_add(context, entry, &why) < 0)
		fail("store_add", &why);
	return 0;
}

/* One chunk, as bytes. */
static void make_chunk(struct bench *b, struct buf *chunk)
{
	struct forward_id id = forward_id(1, 1, b->number, b->number + BATCH);
	struct buf record = BUF_EMPTY;
	struct forward_chunk making;

	buf_clear(chunk);
	if (forward_chunk_begin(&making, SLICE("sallyport.exchange"), chunk) < 0)
		exit(1);
	for (int i = 0; i < BATCH; i++) {
		static char content[4 * MESSAGE + 16], output[MESSAGE + 4];
		struct event event = {0};
		char event_id[40];

		make_event(b, &event, content, event_id);
		snprintf(output, sizeof(output), "[%s]", b->last[0][3]);
		event.output_messages = slice_of_string(output);
		buf_clear(&record);
		if (event_encode(&event, &record) < 0 ||
			forward_chunk_add(&making, buf_slice(&record)) < 0)
			exit(1);
	}
	if (forward_chunk_end(&making, &id) < 0)
		exit(1);
	buf_free(&record);
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double directory_bytes(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	double sum = 0;

	while (directory && (entry = readdir(directory))) {
		char file[512];
		struct stat status;

		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (stat(file, &status) == 0 && S_ISREG(status.st_mode))
			sum += (double)status.st_size;
	}
	closedir(directory);
	return sum;
}

static void bench_write(struct bench *b, uint64_t events)
{
	struct buf chunk = BUF_EMPTY;
	double cpu = 0, wall = 0, input = 0;
	struct why why = {""};
	struct slice ack;

	while (b->number < events) {
		uint64_t wall_began;
		double cpu_began;

		make_chunk(b, &chunk);
		input += (double)buf_len(&chunk);
		wall_began = clock_monotonic_ns();
		cpu_began = cpu_s();
		if (forward_read(buf_slice(&chunk), add, b->store, &ack) != FORWARD_OK ||
			store_commit(b->store, &why) < 0)
			fail("storing", &why);
		cpu += cpu_s() - cpu_began;
		wall += (double)(clock_monotonic_ns() - wall_began) / 1e9;
	}
	buf_free(&chunk);
	store_close(b->store);
	printf("  stored and committed, %d at a time: %.0f events/s, %.0f per second of CPU\n",
		BATCH, (double)events / wall, (double)events / cpu);
	printf("  %.0f bytes per event on disk, of %.0f that came\n",
		directory_bytes(b->path) / (double)events, input / (double)events);
}

static int see_usage(void *context, const struct query_usage *usage)
{
	(void)usage;
	++*(uint64_t *)context;
	return 0;
}

static int see_event(void *context, const struct query_event *event)
{
	(void)event;
	++*(uint64_t *)context;
	return 0;
}

static void bench_usage(struct query *query, const char *name, const char *by1, const char *by2,
	struct query_filter filter)
{
	const char *const by[] = {by1, by2};
	uint64_t began = clock_monotonic_ns(), seen = 0, rows;
	struct query_usage total;
	struct why why = {""};

	if (query_usage(query, by, 2, &filter, 20, see_usage, &seen, &total, &rows, &why) < 0)
		fail(name, &why);
	printf("  %8.1f ms  %s\n", (double)(clock_monotonic_ns() - began) / 1e6, name);
}

static void bench_events(struct query *query, const char *name, struct query_filter filter)
{
	uint64_t began = clock_monotonic_ns(), seen = 0;
	struct why why = {""};

	if (query_events(query, &filter, 50, see_event, &seen, &why) < 0)
		fail(name, &why);
	printf("  %8.1f ms  %s (%llu shown)\n", (double)(clock_monotonic_ns() - began) / 1e6, name,
		(unsigned long long)seen);
}

static void bench_questions(struct bench *b)
{
	const struct query_filter all = {.kind = "exchange"},
				  done = {.outcome = "success", .completions = true},
				  half = {.outcome = "success",
					  .completions = true,
					  .since_ns = b->begun_ns + b->span_ns / 3,
					  .until_ns = b->begun_ns + b->span_ns / 3 * 2},
				  failed = {.kind = "exchange", .outcome = "failure"},
				  rare = {.kind = "exchange", .status = 503};
	struct query_filter one = all;
	struct why why = {""};
	struct query *query = query_open(b->path, &why);

	if (!query)
		fail("opening", &why);
	prefix_parse("10.20.0.32", &one.source);
	one.has_source = true;
	query_patience(query, 0);
	bench_usage(query, "usage --by ip,model (daily sums)", "ip", "model", done);
	bench_usage(query, "usage --by hour,model (hourly sums)", "hour", "model", done);
	bench_usage(query, "usage --by backend,model --all (hourly sums)", "backend", "model", all);
	bench_usage(query, "usage --by ip,model of a part of a day (sums by source, and rows)", "ip", "model", half);
	bench_usage(query, "usage --by user,status (sums by user)", "user", "status", all);
	bench_usage(query, "usage --by model,day of one address (daily sums)", "model", "day", one);
	bench_events(query, "events, newest 50", all);
	bench_events(query, "events of one address, newest 50", one);
	bench_events(query, "events that failed, newest 50", failed);
	bench_events(query, "events of a status that is not there (all rows)", rare);
	query_close(query);
}

int main(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : EVENTS;
	struct why why = {""};
	char command[256];

	b->random = 88172645463325252u;
	b->begun_ns = (clock_realtime_ns() / 86400000000000 - 2) * 86400000000000;
	b->span_ns = 86400000000000 / 10 * 9;
	b->span_ns = b->span_ns / (events > EVENTS ? events / EVENTS : 1);
	snprintf(
		b->path, sizeof(b->path), "%s", argc > 2 ? argv[2] : "/tmp/sallyport-bench-XXXXXX");
	if (argc < 3 && !mkdtemp(b->path))
		return 1;
	if (store_open(b->path, &b->store, &why) < 0)
		fail("opening", &why);
	for (int agent = 0; agent < AGENTS; agent++)
		for (int i = 0; i < 4; i++)
			make_message(b, b->last[agent][i]);
	printf("  %llu events of one day\n", (unsigned long long)events);
	bench_write(b, events);
	bench_questions(b);
	snprintf(command, sizeof(command), "rm -r '%s'", b->path);
	if (argc < 3 && system(command) != 0)
		return 1;
	free(b);
	return 0;
}
