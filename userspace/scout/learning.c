// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/learning.h"

#include <errno.h>
#include <ev.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/flow_judge.h"
#include "kernel/heartbeat.h"
#include "kernel/queue_rules.h"
#include "scout/learn.h"
#include "scout/nfqueue.h"

#define FIRST_BEAT_S 0.01 /* as soon as the queues are read */

/* A lookup for learn_confirm. */
struct question {
	struct learning *learning;
	unsigned number;
	uint64_t ticket; /* the resolver's */
};

struct learning {
	struct role_context *context;
	struct resolver *resolver; /* the scout's */
	struct question questions[LEARN_QUESTIONS];
	struct learn *learn;
	struct nfqueue *queue;
	struct heartbeat *heartbeat;
	struct flow_judge judge;
	ev_timer due, beat;
	unsigned inside; /* index of the interface */
	int raw4, raw6;	 /* -1: not there */
};

/* Sets the timer for what waits longest. */
static void due_set(struct learning *learning, uint64_t now_ns)
{
	uint64_t due_ns = learn_due(learning->learn, now_ns);

	ev_timer_stop(learning->context->loop, &learning->due);
	if (due_ns == UINT64_MAX)
		return;
	/* libev's idea of now is the turn's beginning. */
	ev_now_update(learning->context->loop);
	ev_timer_set(&learning->due, (double)(due_ns - now_ns) / (double)NS_PER_S, 0.);
	ev_timer_start(learning->context->loop, &learning->due);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	due_set(timer->data, clock_monotonic_ns());
}

/* A sign of life as a reader of the queues: one who cannot read them yet gives none. */
static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct learning *learning = timer->data;

	(void)loop;
	(void)events;
	if (nfqueue_reads(learning->queue))
		heartbeat_stamp(learning->heartbeat);
}

static void on_packet(void *context, const struct nfqueue_packet *packet, char *bytes, size_t len)
{
	struct learning *learning = context;
	uint64_t now_ns = clock_monotonic_ns();

	learn_packet(
		learning->learn, packet, packet->interface == learning->inside, bytes, len, now_ns);
	due_set(learning, now_ns);
}

static void output_verdict(
	void *context, const struct nfqueue_packet *packet, bool pass, struct slice changed)
{
	struct learning *learning = context;

	nfqueue_verdict(learning->queue, packet, pass, changed);
}

static void output_ask(void *context, const struct datapath_endpoint *endpoints, size_t n)
{
	struct learning *learning = context;

	/* Should it not be sent, which is counted, whoever waits for the answer goes at its
	 * deadline. */
	role_send(
		learning->context, CONTROL_ENDPOINT, endpoints, n * sizeof(endpoints[0]), NULL, 0);
}

static struct flow_names names_of(const struct ip_packet *packet)
{
	return (struct flow_names){&packet->source, &packet->destination, packet->source_port,
		packet->destination_port};
}

static bool output_begun(void *context, const struct ip_packet *packet, uint32_t *isn)
{
	const struct learning *learning = context;
	const struct flow_names names = names_of(packet);

	return flow_judge_begun(&learning->judge, &names, isn);
}

static void output_judged(
	void *context, const struct ip_packet *packet, uint32_t isn, uint32_t bytes)
{
	const struct learning *learning = context;
	const struct flow_names names = names_of(packet);

	flow_judge_tell(&learning->judge, &names, isn, bytes);
}

static void on_confirmed(void *context, int error, const struct resolver_answer *answer)
{
	struct question *question = context;
	struct learning *learning = question->learning;
	uint64_t now_ns = clock_monotonic_ns();

	/* What the DNS said an hour ago confirms nothing. */
	if (error || answer->stale)
		learn_confirmed(learning->learn, question->number, NULL, 0, now_ns);
	else
		learn_confirmed(learning->learn, question->number, answer->addresses, answer->n,
			now_ns);
	due_set(learning, now_ns);
}

static void output_confirm(void *context, unsigned number, const char *name)
{
	struct learning *learning = context;
	struct question *question = &learning->questions[number];

	question->learning = learning;
	question->number = number;
	if (resolver_lookup(
		    learning->resolver, name, on_confirmed, question, &question->ticket))
		learn_confirmed(learning->learn, number, NULL, 0, clock_monotonic_ns());
}

static void output_emit(void *context, const struct address *destination, struct slice packet)
{
	struct learning *learning = context;
	const struct address_port to = {.address = *destination};
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(&to, &sa);
	int fd = sa.ss_family == AF_INET ? learning->raw4 : learning->raw6;

	if (fd < 0 || sendto(fd, packet.data, packet.len, MSG_DONTWAIT, (struct sockaddr *)&sa,
			      len) != (ssize_t)packet.len)
		counter_add(learning->context->counters, COUNTER_LEARN_UNTOLD, 1);
}

static int raw_open(int family, int *fd, struct why *why)
{
	*fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (*fd < 0 && errno != EAFNOSUPPORT)
		return why_set(why, errno, "raw socket: %m");
	return 0;
}

static int queues_open(struct learning *learning, struct why *why)
{
	struct role_context *context = learning->context;
	struct nfqueue_options options = {
		.first = context->config->datapath.queue_base,
		.n = (uint16_t)queue_rules_queues(),
		.each = on_packet,
		.context = learning,
	};

	_Static_assert(NFQUEUE_KINDS == QUEUE_RULES_KINDS, "the rules have other queues");
	/* As long as somebody reads them: a client that fills them must not get past the look at its
	 * connections in that way, whatever fails open. A reply may pass where they are looked at. */
	options.fail_open[QUEUE_RULES_DNS] = context->config->endpoints.learn & CONFIG_LEARN_SNI;
	return nfqueue_open(context->loop, &options, context->counters, &learning->queue, why);
}

static int heartbeat_open(struct learning *learning, struct why *why)
{
	int fd = role_fd(learning->context, "heartbeats"), error;

	if (fd < 0)
		return why_set(why, ENOENT, "the parent handed over no heartbeats");
	error = heartbeat_map(fd, HEARTBEAT_SCOUT, &learning->heartbeat, why);
	close(fd);
	return error;
}

static int judge_open(struct learning *learning, struct why *why)
{
	learning->judge = (struct flow_judge){
		.flows = role_fd(learning->context, "flows"),
		.judgements = role_fd(learning->context, "judgements"),
	};
	return learning->judge.flows >= 0 && learning->judge.judgements >= 0
		       ? 0
		       : why_set(why, ENOENT, "the parent handed over no flows");
}

static struct learning *learning_alloc(struct role_context *context)
{
	struct learning *learning = calloc(1, sizeof(*learning));

	if (!learning)
		return NULL;
	learning->context = context;
	learning->raw4 = learning->raw6 = -1;
	learning->judge = (struct flow_judge){-1, -1};
	learning->inside = if_nametoindex(context->config->datapath.inside);
	ev_timer_init(&learning->due, on_due, 0., 0.);
	ev_timer_init(&learning->beat, on_beat, FIRST_BEAT_S, HEARTBEAT_INTERVAL_S);
	learning->due.data = learning->beat.data = learning;
	learning->learn = learn_new(context->config, context->counters,
		&(struct learn_output){
			.verdict = output_verdict,
			.ask = output_ask,
			.confirm = output_confirm,
			.begun = output_begun,
			.judged = output_judged,
			.emit = output_emit,
			.context = learning,
		});
	if (learning->learn)
		return learning;
	free(learning);
	return NULL;
}

int learning_new(struct role_context *context, struct resolver *resolver, struct learning **made,
	struct why *why)
{
	struct learning *learning;
	int error;

	*made = NULL;
	if (context->config->endpoints.learn == CONFIG_LEARN_OFF)
		return 0;
	learning = learning_alloc(context);
	if (!learning)
		return why_set(why, ENOMEM, "no memory");
	learning->resolver = resolver;
	error = raw_open(AF_INET, &learning->raw4, why);
	if (!error)
		error = raw_open(AF_INET6, &learning->raw6, why);
	if (!error)
		error = heartbeat_open(learning, why);
	if (!error)
		error = judge_open(learning, why);
	if (!error)
		error = queues_open(learning, why);
	if (error) {
		learning_free(learning);
		return error;
	}
	ev_timer_start(context->loop, &learning->beat);
	*made = learning;
	return 0;
}

void learning_told(struct learning *learning, const struct ipc_message *message)
{
	const struct datapath_endpoint *endpoints = message->body;
	uint64_t now_ns = clock_monotonic_ns();

	learn_told(learning->learn, endpoints, message->len / sizeof(*endpoints), now_ns);
	due_set(learning, now_ns);
}

void learning_free(struct learning *learning)
{
	if (!learning)
		return;
	ev_timer_stop(learning->context->loop, &learning->due);
	ev_timer_stop(learning->context->loop, &learning->beat);
	for (size_t i = 0; i < LEARN_QUESTIONS; i++)
		resolver_cancel(learning->resolver, learning->questions[i].ticket);
	learn_free(learning->learn);
	nfqueue_close(learning->queue);
	heartbeat_unmap(learning->heartbeat);
	if (learning->judge.flows >= 0)
		close(learning->judge.flows);
	if (learning->judge.judgements >= 0)
		close(learning->judge.judgements);
	if (learning->raw4 >= 0)
		close(learning->raw4);
	if (learning->raw6 >= 0)
		close(learning->raw6);
	free(learning);
}
