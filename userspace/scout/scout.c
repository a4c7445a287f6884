/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scout finds out which addresses are AI endpoints and tells the parent, who owns the maps.
 * Here: the configured names, resolved again whenever their TTL is over. learning.c has what passes
 * by. */
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "backend/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "kernel/datapath.h"
#include "scout/learning.h"
#include "supervise/role.h"

#define RETRY_NS    (2 * NS_PER_S) /* after the first failure; doubled up to the TTL floor */
#define MESSAGE_MAX 64		   /* endpoints in one message */
#define NS_TO_S(ns) ((double)(ns) / (double)NS_PER_S)

struct watched_name {
	struct scout *scout;
	const char *name; /* the configuration's */
	uint64_t ticket;
	enum fail fail;	   /* of its addresses */
	uint64_t retry_ns; /* 0: the last lookup succeeded */
	bool answered;	   /* at least once, by an address or a failure */
	ev_timer timer;
};

struct scout {
	struct role_context *context;
	struct resolver *resolver;
	struct watched_name *names;
	size_t nnames, nanswered;
	struct learning *learning; /* NULL: endpoints.learn is off */
};

static void endpoints_send(
	const struct watched_name *name, const struct resolver_answer *answer, uint64_t expires_ns)
{
	struct datapath_endpoint endpoints[MESSAGE_MAX];
	size_t n = 0;

	for (size_t i = 0; i < answer->n; i++) {
		endpoints[n++] = (struct datapath_endpoint){
			.address = answer->addresses[i],
			.expires_ns = expires_ns,
			.source = ENDPOINT_RESOLVED,
			.fail = name->fail,
		};
		if (n < MESSAGE_MAX && i + 1 < answer->n)
			continue;
		role_send(name->scout->context, CONTROL_ENDPOINT, endpoints,
			n * sizeof(endpoints[0]), NULL, 0);
		n = 0;
	}
}

static void name_again(struct watched_name *name, uint64_t in_ns)
{
	ev_timer_stop(name->scout->context->loop, &name->timer);
	ev_timer_set(&name->timer, NS_TO_S(in_ns), 0.0);
	ev_timer_start(name->scout->context->loop, &name->timer);
}

/* Tells the parent when the last of the names has its first answer. */
static void name_answered(struct watched_name *name)
{
	struct scout *scout = name->scout;

	if (name->answered)
		return;
	name->answered = true;
	if (++scout->nanswered == scout->nnames)
		role_send(scout->context, CONTROL_SCOUTED, NULL, 0, NULL, 0);
}

static void name_failed(struct watched_name *name, int error)
{
	uint64_t floor_ns = name->scout->context->config->endpoints.ttl_floor_ns;

	counter_add(name->scout->context->counters, COUNTER_SCOUT_UNRESOLVED, 1);
	/* Once per outage: known addresses stay endpoints for their grace time. */
	if (!name->retry_ns)
		log_warning("%s cannot be resolved: %s; its new connections are not steered once "
			    "its addresses expire",
			name->name, error == -ENOENT ? "no such name" : strerror(-error));
	name->retry_ns = name->retry_ns ? name->retry_ns * 2 : RETRY_NS;
	if (name->retry_ns > floor_ns)
		name->retry_ns = floor_ns > RETRY_NS ? floor_ns : RETRY_NS;
	name_again(name, name->retry_ns);
	name_answered(name);
}

static void name_resolved(void *context, int error, const struct resolver_answer *answer)
{
	struct watched_name *name = context;
	const struct config_endpoints *config = &name->scout->context->config->endpoints;

	name->ticket = 0;
	if (error) {
		name_failed(name, error);
		return;
	}
	counter_add(name->scout->context->counters, COUNTER_SCOUT_RESOLVED, 1);
	if (name->retry_ns)
		log_info("%s is resolved again", name->name);
	name->retry_ns = 0;
	endpoints_send(name, answer, clock_monotonic_ns() + answer->ttl_ns + config->grace_ns);
	name_again(name, answer->ttl_ns);
	name_answered(name);
}

static void name_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct watched_name *name = timer->data;
	int error;

	(void)loop;
	(void)events;
	error = resolver_lookup(
		name->scout->resolver, name->name, name_resolved, name, &name->ticket);
	if (error)
		name_failed(name, error);
}

static void name_watch(struct scout *scout, const char *text)
{
	const struct config *config = scout->context->config;
	struct watched_name *name;

	for (size_t i = 0; i < scout->nnames; i++)
		if (strcasecmp(scout->names[i].name, text) == 0)
			return;
	name = &scout->names[scout->nnames++];
	name->scout = scout;
	name->name = text;
	name->fail =
		(enum fail)config_fail_of(config, config_host_find(config, slice_of_string(text)));
	ev_timer_init(&name->timer, name_due, 0.0, 0.0);
	name->timer.data = name;
	ev_timer_start(scout->context->loop, &name->timer);
}

static void scout_close(void *state)
{
	struct scout *scout = state;

	for (size_t i = 0; i < scout->nnames; i++)
		ev_timer_stop(scout->context->loop, &scout->names[i].timer);
	learning_free(scout->learning);
	resolver_free(scout->resolver);
	free(scout->names);
	free(scout);
}

static int scout_init(struct role_context *context, void **state, struct why *why)
{
	const struct config *config = context->config;
	struct scout *scout = calloc(1, sizeof(*scout));

	if (!scout)
		return why_set(why, ENOMEM, "scout: no memory");
	scout->context = context;
	scout->names = calloc(config->endpoints.nnames + config->nhosts + config->nbackends + 1,
		sizeof(*scout->names));
	scout->resolver = scout->names ? resolver_new(context->loop, config, why) : NULL;
	if (!scout->names)
		why_set(why, ENOMEM, "scout: no memory");
	if (!scout->resolver || learning_new(context, scout->resolver, &scout->learning, why)) {
		resolver_free(scout->resolver);
		free(scout->names);
		free(scout);
		return -EIO;
	}
	for (size_t i = 0; i < config->endpoints.nnames; i++)
		name_watch(scout, config->endpoints.names[i]);
	for (size_t i = 0; i < config->nhosts; i++)
		if (config->hosts[i].pattern[0] != '*')
			name_watch(scout, config->hosts[i].pattern);
	/* A client that calls a backend by its own name is one to see as well. */
	for (size_t i = 0; i < config->nbackends; i++)
		if (config->backends[i].host)
			name_watch(scout, config->backends[i].host);
	if (!scout->nnames)
		role_send(context, CONTROL_SCOUTED, NULL, 0, NULL, 0);
	*state = scout;
	return 0;
}

static void scout_message(void *state, struct ipc_message *message)
{
	struct scout *scout = state;

	if (message->type == CONTROL_ENDPOINT && scout->learning)
		learning_told(scout->learning, message);
}

static void scout_drain(void *state, bool patient)
{
	struct scout *scout = state;

	(void)patient;
	role_exit(scout->context);
}

const struct role scout_role = {
	.title = "scout",
	.init = scout_init,
	.message = scout_message,
	.drain = scout_drain,
	.close = scout_close,
};
