// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reverse.h"

#include <ares.h>
#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#define NAMES		 4096 /* a power of two: places of the cache */
#define PROBES		 8    /* places where an address can be */
#define QUERIES_MAX	 16   /* at a time */
#define SOCKETS_MAX	 16
#define QUERY_TIMEOUT_MS 1000
#define QUERY_TRIES	 2
#define ANSWER_NS	 (600 * NS_PER_S)
#define FAILURE_NS	 (60 * NS_PER_S)

enum name_state { NAME_FREE, NAME_ASKED, NAME_KNOWN };

struct reverse_name {
	struct address address;
	enum name_state state;
	uint64_t until_ns; /* NAME_KNOWN: then it is asked for again */
	struct reverse *reverse;
	char text[sizeof(struct log_quoted)]; /* "": it has none */
};

struct reverse {
	struct ev_loop *loop;
	ares_channel channel;
	bool library; /* ares_library_init is ours to undo */
	unsigned asked;
	ev_timer timer;		    /* c-ares' own deadlines */
	ev_io sockets[SOCKETS_MAX]; /* fd -1: free */
	struct reverse_name names[NAMES];
};

static void timer_set(struct reverse *reverse)
{
	struct timeval left;

	ev_timer_stop(reverse->loop, &reverse->timer);
	if (!ares_timeout(reverse->channel, NULL, &left))
		return;
	ev_timer_set(&reverse->timer, (double)left.tv_sec + (double)left.tv_usec / 1e6, 0.0);
	ev_timer_start(reverse->loop, &reverse->timer);
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct reverse *reverse = timer->data;

	(void)loop;
	(void)events;
	ares_process_fd(reverse->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_set(reverse);
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct reverse *reverse = io->data;
	int fd = io->fd; /* c-ares may close it */

	(void)loop;
	ares_process_fd(reverse->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
		events & EV_WRITE ? fd : ARES_SOCKET_BAD);
	timer_set(reverse);
}

static void socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
	struct reverse *reverse = context;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	ev_io *watch = NULL;

	for (int i = SOCKETS_MAX - 1; i >= 0; i--)
		if (reverse->sockets[i].fd == fd || (!watch && reverse->sockets[i].fd < 0))
			watch = &reverse->sockets[i];
	/* Without a place the query runs into its timeout. */
	if (!watch)
		return;
	ev_io_stop(reverse->loop, watch);
	ev_io_set(watch, events ? fd : -1, events);
	if (events)
		ev_io_start(reverse->loop, watch);
}

static void answered(void *context, int status, int timeouts, struct hostent *host)
{
	struct reverse_name *name = context;
	uint64_t now = clock_monotonic_ns();
	bool told = status == ARES_SUCCESS && host && host->h_name;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	name->reverse->asked--;
	name->state = NAME_KNOWN;
	name->text[0] = '\0';
	name->until_ns =
		now + (told || status == ARES_ENOTFOUND || status == ARES_ENODATA ? ANSWER_NS
										  : FAILURE_NS);
	if (told)
		snprintf(name->text, sizeof(name->text), "%s",
			log_quote(slice_of_string(host->h_name)).text);
}

/* The place of the address: where it is, or the one whose answer ends first; NULL when all of them
 * wait for an answer. */
static struct reverse_name *name_place(struct reverse *reverse, const struct address *address)
{
	struct reverse_name *best = NULL;
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(address->bytes); i++)
		hash = (hash ^ address->bytes[i]) * 16777619u;
	for (uint32_t i = 0; i < PROBES; i++) {
		struct reverse_name *name = &reverse->names[(hash + i) & (NAMES - 1)];

		if (name->state != NAME_FREE && address_equal(&name->address, address))
			return name;
		if (name->state != NAME_ASKED && (!best || name->until_ns < best->until_ns))
			best = name;
	}
	return best;
}

static void name_ask(struct reverse *reverse, struct reverse_name *name)
{
	const uint8_t *bytes = name->address.bytes;
	bool ipv4 = address_is_ipv4(&name->address);

	name->state = NAME_ASKED;
	name->reverse = reverse;
	reverse->asked++;
	ares_gethostbyaddr(reverse->channel, ipv4 ? bytes + 12 : bytes, ipv4 ? 4 : 16,
		ipv4 ? AF_INET : AF_INET6, answered, name);
	timer_set(reverse);
}

bool reverse_lookup(struct reverse *reverse, const struct address *address, const char **name)
{
	struct reverse_name *place = name_place(reverse, address);
	bool here = place && place->state != NAME_FREE && address_equal(&place->address, address);

	*name = NULL;
	if (place && !(here && place->state == NAME_ASKED) && reverse->asked < QUERIES_MAX &&
		(!here || place->until_ns <= clock_monotonic_ns())) {
		if (!here)
			place->text[0] = '\0';
		place->address = *address;
		name_ask(reverse, place); /* /etc/hosts answers at once */
		here = true;
	}
	if (!here || (place->state == NAME_ASKED && !place->text[0]))
		return false;
	/* One that is asked for again is as it was until then. */
	*name = place->text[0] ? place->text : NULL;
	return true;
}

static int servers_set(struct reverse *reverse, const struct config_endpoints *endpoints)
{
	struct buf servers = BUF_EMPTY;
	int status = ARES_SUCCESS;

	if (endpoints->nresolvers == 0)
		return ARES_SUCCESS;
	for (size_t i = 0; i < endpoints->nresolvers && status == ARES_SUCCESS; i++) {
		struct address_port server = endpoints->resolvers[i];

		if (!server.port)
			server.port = 53;
		if (buf_printf(&servers, "%s%s", i ? "," : "", address_port_format(&server).text))
			status = ARES_ENOMEM;
	}
	if (status == ARES_SUCCESS && buf_append(&servers, "", 1))
		status = ARES_ENOMEM;
	if (status == ARES_SUCCESS)
		status = ares_set_servers_ports_csv(reverse->channel, buf_slice(&servers).data);
	buf_free(&servers);
	return status;
}

struct reverse *reverse_new(struct ev_loop *loop, const struct config *config, struct why *why)
{
	struct reverse *reverse = calloc(1, sizeof(*reverse));
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH,
		.timeout = QUERY_TIMEOUT_MS,
		.tries = QUERY_TRIES,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = reverse,
	};
	int status;

	if (!reverse) {
		why_set(why, ENOMEM, "names: no memory");
		return NULL;
	}
	reverse->loop = loop;
	for (int i = 0; i < SOCKETS_MAX; i++) {
		ev_io_init(&reverse->sockets[i], socket_ready, -1, 0);
		reverse->sockets[i].data = reverse;
	}
	ev_init(&reverse->timer, timer_fired);
	reverse->timer.data = reverse;
	status = ares_library_init(ARES_LIB_INIT_ALL);
	reverse->library = status == ARES_SUCCESS;
	if (status == ARES_SUCCESS)
		status = ares_init_options(&reverse->channel, &options,
			ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				ARES_OPT_SOCK_STATE_CB);
	if (status == ARES_SUCCESS)
		status = servers_set(reverse, &config->endpoints);
	if (status == ARES_SUCCESS)
		return reverse;
	why_set(why, EIO, "names: c-ares does not start: %s; look at /etc/resolv.conf",
		ares_strerror(status));
	reverse_free(reverse);
	return NULL;
}

void reverse_free(struct reverse *reverse)
{
	if (!reverse)
		return;
	if (reverse->channel)
		ares_destroy(reverse->channel);
	for (int i = 0; i < SOCKETS_MAX; i++)
		ev_io_stop(reverse->loop, &reverse->sockets[i]);
	ev_timer_stop(reverse->loop, &reverse->timer);
	if (reverse->library)
		ares_library_cleanup();
	free(reverse);
}
