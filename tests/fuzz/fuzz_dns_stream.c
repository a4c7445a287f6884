// SPDX-License-Identifier: GPL-2.0-or-later
/* A stream of DNS messages gets to its client the same whatever the segments it comes in, also out
 * of order and twice: edited as if it had come in one. The input's first bytes say how it is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "scout/learn.h"
#include "scout/packet.h"

#define CUTS	   16
#define STREAM_MAX 2048
#define FIRST	   1000 /* sequence number of the stream's first byte */
#define NOW_NS	   NS_PER_S

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* One run: what the client has of the stream, and where. */
struct run {
	struct learn *learn;
	struct datapath_endpoint asked[1024];
	size_t nasked;
	unsigned given, verdicts;
	struct slice packets[CUTS + 4];
	char stream[STREAM_MAX];
	bool has[STREAM_MAX];
};

static void on_verdict(
	void *context, const struct nfqueue_packet *packet, bool pass, struct slice changed)
{
	struct run *run = context;
	struct slice bytes = changed.len ? changed : run->packets[packet->id];
	struct ip_packet read;
	struct slice payload;

	demand(pass && packet->id < run->given);
	run->verdicts++;
	demand(ip_packet_read(bytes, &read) == IP_PACKET_OK);
	payload = ip_packet_payload(&read, bytes);
	for (size_t i = 0; i < payload.len; i++) {
		size_t at = read.sequence - FIRST + i;

		/* What came twice is the same both times. */
		demand(!run->has[at] || run->stream[at] == payload.data[i]);
		run->stream[at] = payload.data[i];
		run->has[at] = true;
	}
}

static void on_ask(void *context, const struct datapath_endpoint *endpoints, size_t n)
{
	struct run *run = context;

	demand(n <= LEARN_ASK_MAX);
	for (size_t i = 0; i < n && run->nasked < 1024; i++)
		run->asked[run->nasked++] = endpoints[i];
}

/* By the length of the name: one of the addresses that the corpus speaks of, or none. */
static void on_confirm(void *context, unsigned question, const char *name)
{
	static const struct address address = {{[10] = 0xff, 0xff, 192, 0, 2, 9}};
	struct run *run = context;

	learn_confirmed(run->learn, question, &address, strlen(name) % 2, NOW_NS);
}

static void on_emit(void *context, const struct address *destination, struct slice packet)
{
	(void)context;
	(void)destination;
	(void)packet;
	abort();
}

static void put(char *at, uint32_t value, int bytes)
{
	while (bytes--)
		*at++ = (char)(value >> 8 * bytes);
}

static void give(struct run *run, uint32_t sequence, uint8_t flags, struct slice payload)
{
	struct nfqueue_packet packet = {.id = run->given};
	size_t len = 40 + payload.len;
	char *bytes = calloc(2, len), *kept = bytes + len;

	demand(bytes != NULL);
	bytes[0] = 0x45;
	put(bytes + 2, (uint32_t)len, 2);
	bytes[9] = IP_PACKET_TCP;
	bytes[12] = bytes[16] = 10;
	put(bytes + 20, 53, 2);
	put(bytes + 22, 40000, 2);
	put(bytes + 24, sequence, 4);
	bytes[32] = 0x50;
	bytes[33] = (char)flags;
	if (payload.len)
		memcpy(bytes + 40, payload.data, payload.len);
	/* As it is in the kernel, whatever is done to the copy. */
	memcpy(kept, bytes, len);
	run->packets[run->given++] = slice_of(kept, len);
	learn_packet(run->learn, &packet, false, bytes, len, NOW_NS);
	learn_told(run->learn, run->asked, run->nasked, NOW_NS);
	run->nasked = 0;
}

static void run_start(struct run *run, const struct config *config)
{
	*run = (struct run){.given = 0};
	run->learn = learn_new(config, NULL,
		&(struct learn_output){.verdict = on_verdict,
			.ask = on_ask,
			.confirm = on_confirm,
			.emit = on_emit,
			.context = run});
	demand(run->learn != NULL);
	give(run, FIRST - 1, IP_PACKET_SYN | IP_PACKET_ACK, SLICE_NONE);
}

static void run_end(struct run *run)
{
	learn_free(run->learn);
	demand(run->verdicts == run->given);
	for (unsigned i = 0; i < run->given; i++)
		free((char *)(uintptr_t)run->packets[i].data - run->packets[i].len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;
	static struct config *config; /* takes longer than all the rest */
	struct why why = {""};
	struct slice stream;
	bool passed;

	if (size < 2 * CUTS || size - 2 * CUTS > STREAM_MAX || size == 2 * CUTS)
		return 0;
	stream = slice_of((const char *)data + 2 * CUTS, size - 2 * CUTS);
	demand(config || config_parse("fuzz", SLICE("datapath: {inside: lo}"), &config, &why) == 0);
	run_start(&whole, config);
	give(&whole, FIRST, IP_PACKET_ACK, stream);
	/* Else it ends in the middle of a message that waits for more. */
	passed = whole.verdicts == whole.given;
	run_start(&cut, config);
	for (size_t i = 0; i < CUTS; i++) {
		size_t at = data[2 * i] * stream.len / 256;
		size_t len = data[2 * i + 1] * (stream.len - at) / 255;

		give(&cut, FIRST + (uint32_t)at, IP_PACKET_ACK,
			slice_first(slice_after(stream, at), len));
	}
	give(&cut, FIRST, IP_PACKET_ACK, stream);
	for (size_t i = 0; i < stream.len && passed; i++)
		demand(cut.has[i] && cut.stream[i] == whole.stream[i]);
	run_end(&cut);
	run_end(&whole);
	return 0;
}
