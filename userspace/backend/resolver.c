/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backend/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ares_loop.h"
#include "backend/hosts.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/slice.h"
#include "config/config.h"

#define NAME_MAX_LEN	 253 /* RFC 1035 section 2.3.4, without the final dot */
#define LABEL_MAX_LEN	 63
#define BUCKETS		 256
#define ADDRESSES_MAX	 256
#define UNDER_WAY	 4 /* so many times the names that are remembered may be looked up */
#define QUERY_TIMEOUT_MS 2000
#define QUERY_TRIES	 3
#define NEGATIVE_NS	 (5 * NS_PER_S)
#define STALE_NS	 (3600 * NS_PER_S)
/* RFC 8767 section 5: a client waits this long for a fresh answer while a stale one is there. */
#define STALE_PATIENCE_S 1.8

struct answer_set {
	size_t n;
	struct address addresses[];
};

struct name {
	struct list recent;   /* in resolver.recent, most recently asked first */
	struct list finished; /* in resolver.finished while waits are to be served */
	struct list waits;
	struct resolver *resolver;
	struct answer_set *answers; /* NULL: none so far */
	uint64_t answered_ns;	    /* when the DNS said so; CLOCK_MONOTONIC like all of these */
	uint64_t fresh_ns;	    /* until then no query is made */
	int error;		    /* of the last query */
	bool querying;
	ev_timer patience;
	char text[NAME_MAX_LEN + 1];
};

struct wait {
	struct list of_name;
	struct list of_ticket;
	uint64_t ticket;
	resolver_done *done;
	void *context;
};

struct resolver {
	struct ares_loop ares;
	struct hosts *hosts;
	uint64_t ttl_floor_ns, ttl_ceiling_ns;
	void *names; /* a balanced tree (tsearch): names that clients choose do not make it slow */
	struct list tickets[BUCKETS];
	struct list recent;
	struct list finished;
	size_t nnames, names_max;
	uint64_t last_ticket;
	bool serving, freed;
};

static int name_compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* Lower case, without the final dot; false for what is no host name (RFC 1123 section 2.1, and
 * the underscores of private zones). */
static bool name_canonical(const char *host, char text[NAME_MAX_LEN + 1])
{
	size_t len = strlen(host), label = 0;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = host[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (label == 0 || text[i - 1] == '-')
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
			   (c == '-' && label > 0)) {
			if (++label > LABEL_MAX_LEN)
				return false;
		} else {
			return false;
		}
		text[i] = c;
	}
	text[len] = '\0';
	return label > 0 && text[len - 1] != '-';
}

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_EBADNAME:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static bool usable_stale(const struct name *name, uint64_t now)
{
	return name->answers && now - name->answered_ns < STALE_NS;
}

/* Calls done with what is known of the name. The answer is copied first: done may look up, and
 * so change or evict the name. */
static void answer_call(const struct name *name, uint64_t now, resolver_done *done, void *context)
{
	struct address copy[ADDRESSES_MAX];
	struct resolver_answer answer;
	bool stale = name->error != 0 || name->fresh_ns <= now;

	if (!name->answers || (stale && !usable_stale(name, now))) {
		done(context, name->error ? name->error : -EIO, NULL);
		return;
	}
	answer.n = name->answers->n;
	memcpy(copy, name->answers->addresses, answer.n * sizeof(copy[0]));
	answer.addresses = copy;
	answer.stale = stale;
	answer.ttl_ns = name->fresh_ns > now ? name->fresh_ns - now : name->resolver->ttl_floor_ns;
	done(context, 0, &answer);
}

static void wait_free(struct wait *wait)
{
	list_remove(&wait->of_name);
	list_remove(&wait->of_ticket);
	free(wait);
}

static void name_free(struct name *name)
{
	tdelete(name, &name->resolver->names, name_compare);
	list_remove(&name->recent);
	list_remove(&name->finished);
	ev_timer_stop(name->resolver->ares.loop, &name->patience);
	list_for_each_safe (node, &name->waits)
		wait_free(list_entry(node, struct wait, of_name));
	name->resolver->nnames--;
	free(name->answers);
	free(name);
}

static void resolver_destroy(struct resolver *resolver)
{
	/* Its callbacks come with ARES_EDESTRUCTION and leave the names alone. */
	resolver->freed = true;
	ares_loop_close(&resolver->ares);
	list_for_each_safe (node, &resolver->recent)
		name_free(list_entry(node, struct name, recent));
	hosts_free(resolver->hosts);
	free(resolver);
}

/* Serves the waits of one name; false when the resolver was freed meanwhile. */
static bool name_serve(struct name *name)
{
	struct resolver *resolver = name->resolver;
	uint64_t now = clock_monotonic_ns();

	while (!list_empty(&name->waits)) {
		struct wait *wait = list_entry(name->waits.next, struct wait, of_name);
		resolver_done *done = wait->done;
		void *context = wait->context;

		wait_free(wait);
		answer_call(name, now, done, context);
		if (resolver->freed)
			return false;
	}
	return true;
}

/* Nothing of the resolver may be touched after this. */
static void resolver_serve(void *context)
{
	struct resolver *resolver = context;

	resolver->serving = true;
	while (!resolver->freed && !list_empty(&resolver->finished)) {
		struct name *name = list_entry(resolver->finished.next, struct name, finished);

		list_remove(&name->finished);
		name_serve(name);
	}
	resolver->serving = false;
	if (resolver->freed)
		resolver_destroy(resolver);
}

static void patience_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct name *name = timer->data;
	struct resolver *resolver = name->resolver;

	(void)loop;
	(void)events;
	list_remove(&name->finished);
	list_append(&resolver->finished, &name->finished);
	resolver_serve(resolver);
}

static void answer_add(struct answer_set *set, const struct address *address)
{
	for (size_t i = 0; i < set->n; i++)
		if (address_equal(&set->addresses[i], address))
			return;
	if (set->n < ADDRESSES_MAX)
		set->addresses[set->n++] = *address;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Takes the addresses over, IPv4 first, with the least TTL of all records on the way. */
static int answer_take(struct name *name, const struct ares_addrinfo *info, uint64_t now)
{
	const struct resolver *resolver = name->resolver;
	struct answer_set *set = calloc(1, sizeof(*set) + ADDRESSES_MAX * sizeof(set->addresses[0]));
	struct answer_set *fitting;
	uint64_t ttl = UINT32_MAX;

	if (!set)
		return -ENOMEM;
	free(name->answers);
	name->answers = NULL;
	for (int pass = 0; pass < 2; pass++)
		for (const struct ares_addrinfo_node *node = info->nodes; node;
			node = node->ai_next) {
			struct address_port ap;

			if (node->ai_family != (pass ? AF_INET6 : AF_INET) ||
				address_port_from_sockaddr(&ap, node->ai_addr) < 0)
				continue;
			answer_add(set, &ap.address);
			if (node->ai_ttl >= 0 && (uint64_t)node->ai_ttl < ttl)
				ttl = (uint64_t)node->ai_ttl;
		}
	for (const struct ares_addrinfo_cname *cname = info->cnames; cname; cname = cname->next)
		if (cname->ttl >= 0 && (uint64_t)cname->ttl < ttl)
			ttl = (uint64_t)cname->ttl;
	if (set->n == 0) {
		free(set);
		return -ENOENT;
	}
	fitting = realloc(set, sizeof(*set) + set->n * sizeof(set->addresses[0]));
	name->answers = fitting ? fitting : set;
	name->answered_ns = now;
	name->fresh_ns =
		now + clamp(ttl * NS_PER_S, resolver->ttl_floor_ns, resolver->ttl_ceiling_ns);
	return 0;
}

static void query_done(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
	struct name *name = context;
	struct resolver *resolver = name->resolver;
	uint64_t now = clock_monotonic_ns();

	(void)timeouts;
	name->querying = false;
	if (resolver->freed || status == ARES_EDESTRUCTION)
		goto out;
	ev_timer_stop(resolver->ares.loop, &name->patience);
	name->error = status == ARES_SUCCESS && info ? answer_take(name, info, now)
						     : error_of(status ? status : ARES_ENODATA);
	if (name->error == -ENOENT) {
		/* The DNS works and says no: what it said before does not hold any more. */
		free(name->answers);
		name->answers = NULL;
		name->fresh_ns = now + NEGATIVE_NS;
	} else if (name->error && usable_stale(name, now)) {
		name->fresh_ns = now + resolver->ttl_floor_ns;
	}
	list_remove(&name->finished);
	list_append(&resolver->finished, &name->finished);
out:
	if (info)
		ares_freeaddrinfo(info);
}

static void name_query(struct name *name)
{
	/* NOSORT: sorting by RFC 6724 would open sockets, and connection attempts sort better. */
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct resolver *resolver = name->resolver;

	name->querying = true;
	if (usable_stale(name, clock_monotonic_ns())) {
		ev_timer_set(&name->patience, STALE_PATIENCE_S, 0.0);
		ev_timer_start(resolver->ares.loop, &name->patience);
	}
	ares_getaddrinfo(resolver->ares.channel, name->text, NULL, &hints, query_done, name);
	ares_loop_wait(&resolver->ares, !list_empty(&resolver->finished));
}

static struct name *name_find(struct resolver *resolver, const char *text)
{
	struct name key, **found;

	memcpy(key.text, text, strlen(text) + 1);
	found = tfind(&key, &resolver->names, name_compare);
	return found ? *found : NULL;
}

/* Makes room by forgetting the name that was asked for longest ago and that nobody waits for.
 * False: there is none. */
static bool cache_evict(struct resolver *resolver)
{
	for (struct list *node = resolver->recent.prev; node != &resolver->recent;
		node = node->prev) {
		struct name *name = list_entry(node, struct name, recent);

		if (name->querying || !list_empty(&name->waits))
			continue;
		name_free(name);
		return true;
	}
	return false;
}

/* 0, or -EAGAIN: all that there may be are being looked up; or -ENOMEM. */
static int name_add(struct resolver *resolver, const char *text, struct name **added)
{
	struct name *name;

	while (resolver->nnames >= resolver->names_max && cache_evict(resolver))
		;
	if (resolver->nnames >= resolver->names_max * UNDER_WAY)
		return -EAGAIN;
	*added = name = calloc(1, sizeof(*name));
	if (!name)
		return -ENOMEM;
	memcpy(name->text, text, strlen(text) + 1);
	if (!tsearch(name, &resolver->names, name_compare)) {
		free(name);
		return -ENOMEM;
	}
	name->resolver = resolver;
	list_init(&name->recent);
	list_init(&name->finished);
	list_init(&name->waits);
	ev_init(&name->patience, patience_over);
	name->patience.data = name;
	resolver->nnames++;
	return 0;
}

/* Addresses and names of /etc/hosts answer at once. */
static bool answer_local(const struct resolver *resolver, const char *host, const char *text,
	resolver_done *done, void *context)
{
	struct resolver_answer answer = {.ttl_ns = resolver->ttl_ceiling_ns};
	struct address literal;

	if (address_parse(host, &literal) == 0) {
		answer.addresses = &literal;
		answer.n = 1;
	} else if (!text || !hosts_find(resolver->hosts, text, &answer.addresses, &answer.n)) {
		return false;
	}
	done(context, 0, &answer);
	return true;
}

int resolver_lookup(struct resolver *resolver, const char *host, resolver_done *done, void *context,
	uint64_t *ticket)
{
	uint64_t now = clock_monotonic_ns();
	char text[NAME_MAX_LEN + 1];
	bool is_name = name_canonical(host, text);
	struct name *name;
	struct wait *wait;
	int error;

	*ticket = 0;
	if (answer_local(resolver, host, is_name ? text : NULL, done, context))
		return 0;
	if (!is_name)
		return -EINVAL;
	name = name_find(resolver, text);
	error = name ? 0 : name_add(resolver, text, &name);
	if (error)
		return error;
	list_remove(&name->recent);
	list_insert_after(&resolver->recent, &name->recent);
	if (now < name->fresh_ns) {
		answer_call(name, now, done, context);
		return 0;
	}
	if (!(wait = calloc(1, sizeof(*wait))))
		return -ENOMEM;
	wait->ticket = *ticket = ++resolver->last_ticket;
	wait->done = done;
	wait->context = context;
	list_append(&name->waits, &wait->of_name);
	list_append(&resolver->tickets[wait->ticket % BUCKETS], &wait->of_ticket);
	if (!name->querying)
		name_query(name);
	return 0;
}

void resolver_cancel(struct resolver *resolver, uint64_t ticket)
{
	struct list *bucket = &resolver->tickets[ticket % BUCKETS];

	if (!ticket)
		return;
	list_for_each (node, bucket) {
		struct wait *wait = list_entry(node, struct wait, of_ticket);

		if (wait->ticket != ticket)
			continue;
		wait_free(wait);
		return;
	}
}

static int channel_open(
	struct resolver *resolver, const struct config_endpoints *endpoints, struct why *why)
{
	char lookups[] = "b"; /* the DNS alone: a sandboxed process cannot open /etc/hosts later */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = QUERY_TIMEOUT_MS,
		.tries = QUERY_TRIES,
		.lookups = lookups,
	};

	return ares_loop_open(&resolver->ares, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS, endpoints,
		"resolver", why);
}

struct resolver *resolver_new(struct ev_loop *loop, const struct config *config, struct why *why)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver) {
		why_set(why, ENOMEM, "resolver: no memory");
		return NULL;
	}
	resolver->ares.loop = loop;
	resolver->ares.after = resolver_serve;
	resolver->ares.context = resolver;
	resolver->ttl_floor_ns = config->endpoints.ttl_floor_ns;
	resolver->ttl_ceiling_ns = config->endpoints.ttl_ceiling_ns;
	if (resolver->ttl_floor_ns == 0)
		resolver->ttl_floor_ns = NS_PER_S;
	if (resolver->ttl_ceiling_ns < resolver->ttl_floor_ns)
		resolver->ttl_ceiling_ns = resolver->ttl_floor_ns;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&resolver->tickets[i]);
	resolver->names_max =
		config->origin.names_max + config->nhosts + config->endpoints.nnames + 1;
	list_init(&resolver->recent);
	list_init(&resolver->finished);
	resolver->hosts = hosts_load("/etc/hosts");
	if (channel_open(resolver, &config->endpoints, why) < 0) {
		resolver_destroy(resolver);
		return NULL;
	}
	return resolver;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	if (resolver->serving)
		resolver->freed = true;
	else
		resolver_destroy(resolver);
}
