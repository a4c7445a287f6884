// SPDX-License-Identifier: GPL-2.0-or-later
/* The keeper: the one process that gets credentials of backends, and the only one that could be made
 * to give them out. It sees no payload; workers hear the latest value of each from it. */
#include <errno.h>
#include <ev.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/credential_message.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "config/key_file.h"
#include "keeper/fetch.h"
#include "keeper/held.h"
#include "keeper/heritage.h"
#include "keeper/peers.h"
#include "supervise/role.h"

/* A value that the service refuses is asked for anew, but not more often than this. */
#define REFUSED_NS (10 * NS_PER_S)
/* So long the first attempts have until workers that wait for them begin without. */
#define GRACE_S 2.
/* So long the keeper before has to tell what it holds. */
#define HERITAGE_S 1.
#define PEM_MAX    65536 /* of a file with certificate and key */

struct keeper;

struct kept {
	struct keeper *keeper;
	const struct config_credential *config;
	struct held held;
	struct fetch *fetch; /* NULL: the file has it */
	bool has_file;	     /* it was read once */
	bool expired;	     /* that is told */
	uint64_t refused_ns; /* when a refusal made it be asked for last; 0: never */
	ev_timer timer;	     /* the next attempt, or the end of the value */
};

struct keeper {
	struct role_context *context;
	struct kept *kept; /* by index */
	struct peer_news *news;
	struct peers peers;
	struct turn turn;
	struct http_caller caller;
	ev_io heritage;	 /* from the keeper before */
	bool may_fetch;	 /* it has told all */
	ev_timer grace, patience;
	bool draining;
};

static size_t count(const struct keeper *keeper)
{
	return keeper->context->config->ncredentials;
}

static size_t index_of(const struct kept *kept)
{
	return (size_t)(kept - kept->keeper->kept);
}

/* ---- telling ---- */

/* The clock's time of a moment, 0 for none. */
static uint64_t realtime_of(uint64_t moment_ns, uint64_t now_ns)
{
	return moment_ns ? clock_realtime_ns() + moment_ns - now_ns : 0;
}

static void tell_parent(const struct kept *kept, bool renewed)
{
	const struct held *held = &kept->held;
	uint64_t now_ns = clock_monotonic_ns();
	struct control_credential told = {
		.index = (uint32_t)index_of(kept),
		.state = held_state(held, now_ns),
		.renewed = renewed,
		.got_ns = realtime_of(held->got_ns, now_ns),
		.expires_ns = realtime_of(held->expires_ns, now_ns),
		.next_ns = realtime_of(held->next_ns, now_ns),
	};

	memcpy(told.error, held->error, sizeof(told.error));
	(void)role_send(
		kept->keeper->context, CONTROL_CREDENTIAL, &told, sizeof(told), NULL, 0);
}

static void all_known(struct keeper *keeper)
{
	ev_timer_stop(keeper->context->loop, &keeper->grace);
	keeper->peers.all_known = true;
}

/* Something of the credential has changed: everybody who has to know hears of it. */
static void tell(struct kept *kept, bool renewed)
{
	struct keeper *keeper = kept->keeper;
	bool all = true;

	for (size_t i = 0; i < count(keeper); i++)
		all = all && keeper->kept[i].held.tried;
	keeper->news[index_of(kept)].edition++;
	if (all)
		all_known(keeper);
	tell_parent(kept, renewed);
	peers_tell(&keeper->peers);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct keeper *keeper = timer->data;

	(void)loop;
	(void)events;
	all_known(keeper);
	peers_tell(&keeper->peers);
}

/* ---- what comes of an attempt ---- */

/* Waits for what comes first: the next attempt, or the end of the value. */
static void plan(struct kept *kept)
{
	struct ev_loop *loop = kept->keeper->context->loop;
	const struct held *held = &kept->held;
	uint64_t now_ns = clock_monotonic_ns(), at_ns = held->next_ns;

	if (held->expires_ns && !kept->expired && (!at_ns || held->expires_ns < at_ns))
		at_ns = held->expires_ns;
	ev_timer_stop(loop, &kept->timer);
	if (!at_ns)
		return;
	ev_timer_set(&kept->timer, at_ns > now_ns ? (double)(at_ns - now_ns) / 1e9 : 0., 0.);
	ev_timer_start(loop, &kept->timer);
}

static void take_failure(struct kept *kept, const char *why, uint64_t pause_ns)
{
	struct held *held = &kept->held;
	bool again = strcmp(held->error, why) == 0;
	uint64_t now_ns = clock_monotonic_ns();
	uint32_t chance = 0;

	counter_add(kept->keeper->context->counters, COUNTER_CREDENTIAL_FAILED, 1);
	(void)RAND_bytes((unsigned char *)&chance, sizeof(chance));
	held_fail(held, why, kept->fetch && fetch_is_ready(kept->fetch), pause_ns, chance, now_ns);
	/* The same trouble each minute is told once: by the log as by the event. */
	if (!again)
		log_error("credential %s: %s%s", kept->config->name, why,
			held->value && !held_is_expired(held, now_ns)
				? "; the last good value stays in use"
				: "");
	plan(kept);
	tell(kept, false);
}

static void take_value(
	struct kept *kept, struct slice value, uint64_t expires_ns, uint64_t next_ns)
{
	struct held *held = &kept->held;
	bool first = !held->value, failing = held->error[0];
	int error;
	bool other =
		held_take(held, value, expires_ns, next_ns, clock_monotonic_ns(), &error);

	if (error) {
		take_failure(kept, "out of memory", 0);
		return;
	}
	kept->expired = false;
	if (other)
		counter_add(kept->keeper->context->counters, COUNTER_CREDENTIAL_RENEWED, 1);
	if (other || failing)
		log_info("credential %s: %s", kept->config->name,
			!other	? "it can be had again"
			: first ? "it has its first value"
				: "it has another value");
	plan(kept);
	/* A token is another one each time: that is no news for an event. */
	tell(kept, other && !first && !expires_ns);
}

static void on_fetched(void *context, const struct fetch_result *result)
{
	struct kept *kept = context;

	if (result->value.len)
		take_value(kept, result->value, result->expires_ns, result->next_ns);
	else
		take_failure(kept, result->why.text, result->pause_ns);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct kept *kept = timer->data;
	struct held *held = &kept->held;
	uint64_t now_ns = clock_monotonic_ns();

	(void)loop;
	(void)events;
	if (!kept->expired && held_is_expired(held, now_ns)) {
		kept->expired = true;
		log_error("credential %s: its last value has expired", kept->config->name);
		tell(kept, false);
	}
	if (kept->fetch && held->next_ns && now_ns >= held->next_ns) {
		held->next_ns = 0; /* under way */
		fetch_start(kept->fetch);
	}
	plan(kept);
}

/* ---- files ---- */

static void take_content(struct kept *kept, int fd, const char *path)
{
	struct buf content = BUF_EMPTY;
	struct why why = {""};
	int error = kept->config->client_certificate ? file_read_fd(fd, PEM_MAX, &content, &why)
						     : key_file_read(fd, path, &content, &why);

	if (!error && kept->fetch)
		error = fetch_take_file(kept->fetch, buf_slice(&content), &why);
	if (error)
		take_failure(kept, why.text, 0);
	else if (!kept->fetch)
		take_value(kept, buf_slice(&content), 0, 0);
	else if (kept->keeper->may_fetch && (kept->has_file || !kept->held.value))
		fetch_start(kept->fetch);
	kept->has_file = kept->has_file || !error;
	buf_wipe(&content);
}

static void take_file(struct keeper *keeper, const struct ipc_message *message)
{
	char memory[CONFIG_PATH_SIZE];
	struct control_file file;
	struct kept *kept;
	const char *path;

	if (message->len != sizeof(file))
		return;
	memcpy(&file, message->body, sizeof(file));
	file.why[sizeof(file.why) - 1] = '\0';
	if (file.index >= count(keeper))
		return;
	kept = &keeper->kept[file.index];
	path = config_credential_path(kept->config, memory);
	if (message->nfds == 1)
		take_content(kept, message->fds[0], path ? path : "it");
	else
		take_failure(kept, file.why, 0);
}

/* ---- from one keeper to the next ---- */

/* To the one who comes after; what the socket does not take is asked for anew there. */
static void leave_heritage(struct keeper *keeper, int fd)
{
	for (size_t i = 0; i < count(keeper); i++) {
		const struct kept *kept = &keeper->kept[i];

		if (kept->fetch && kept->held.value &&
			!held_is_expired(&kept->held, clock_monotonic_ns()) &&
			heritage_send(fd, kept->config, &kept->held))
			log_warning("credential %s: it cannot be left to the next keeper",
				kept->config->name);
	}
}

/* Who has nothing, or has to hurry, asks now. */
static void begin_to_fetch(struct keeper *keeper)
{
	struct ev_loop *loop = keeper->context->loop;

	ev_timer_stop(loop, &keeper->patience);
	if (keeper->heritage.fd >= 0) {
		ev_io_stop(loop, &keeper->heritage);
		close(keeper->heritage.fd);
		keeper->heritage.fd = -1;
	}
	keeper->may_fetch = true;
	for (size_t i = 0; i < count(keeper); i++)
		if (keeper->kept[i].fetch && !keeper->kept[i].held.value)
			fetch_start(keeper->kept[i].fetch);
}

static void inherit(struct keeper *keeper, struct slice body)
{
	struct heritage heritage;
	size_t i;

	if (heritage_read(body, keeper->context->config->credentials, count(keeper), &i, &heritage) ||
		keeper->kept[i].held.value)
		return;
	take_value(&keeper->kept[i], heritage.value, heritage.expires_ns,
		heritage.next_ns ? heritage.next_ns : clock_monotonic_ns());
	keeper->kept[i].held.got_ns = heritage.got_ns;
	tell_parent(&keeper->kept[i], false);
}

static void on_heritage(struct ev_loop *loop, ev_io *io, int events)
{
	static _Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
	struct keeper *keeper = io->data;
	struct ipc_message message;
	int result;

	(void)loop;
	(void)events;
	while ((result = ipc_receive(io->fd, memory, sizeof(memory), &message)) > 0) {
		ipc_close_fds(&message);
		if (message.type == CREDENTIAL_HERITAGE)
			inherit(keeper, slice_of(message.body, message.len));
		explicit_bzero(memory, message.len);
	}
	if (result != -EAGAIN && result != -EBADMSG)
		begin_to_fetch(keeper);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	begin_to_fetch(timer->data);
}

/* ---- the role ---- */

static void may_exit(struct keeper *keeper)
{
	if (keeper->draining && list_empty(&keeper->peers.all))
		role_exit(keeper->context);
}

static void on_peer_gone(struct peers *peers)
{
	may_exit(list_entry(peers, struct keeper, peers));
}

/* The key was made anew before its time, as an administrator does with one that is known to others. */
static void on_refused(struct peers *peers, size_t i, uint32_t version)
{
	struct keeper *keeper = list_entry(peers, struct keeper, peers);
	struct kept *kept = &keeper->kept[i];
	uint64_t now_ns = clock_monotonic_ns();

	if (version != kept->held.version)
		return;
	counter_add(keeper->context->counters, COUNTER_CREDENTIAL_REFUSED, 1);
	if (!kept->fetch || (kept->refused_ns && now_ns - kept->refused_ns < REFUSED_NS))
		return;
	kept->refused_ns = now_ns;
	if (kept->config->from == CONFIG_CREDENTIAL_JWKS)
		log_info("credential %s: a token is signed with another key: they are asked for anew",
			kept->config->name);
	else
		log_warning("credential %s: the service refuses it: it is asked for anew",
			kept->config->name);
	fetch_start(kept->fetch);
}

static void keeper_message(void *state, struct ipc_message *message)
{
	struct keeper *keeper = state;

	if (message->type == CONTROL_FILE) {
		take_file(keeper, message);
	} else if (message->type == CONTROL_HEIR && message->nfds == 1) {
		leave_heritage(keeper, message->fds[0]);
	} else if (message->type == CONTROL_PEER && message->nfds == 1) {
		if (peers_add(&keeper->peers, message->fds[0]))
			log_error("no memory for the socket of a worker");
		message->fds[0] = -1;
	}
}

static void keeper_drain(void *state, bool patient)
{
	struct keeper *keeper = state;

	/* Workers that are still there may yet have calls to make. */
	keeper->draining = true;
	if (!patient)
		role_exit(keeper->context);
	may_exit(keeper);
}

static void keeper_close(void *state)
{
	struct keeper *keeper = state;
	struct ev_loop *loop = keeper->context->loop;

	ev_timer_stop(loop, &keeper->grace);
	ev_timer_stop(loop, &keeper->patience);
	ev_io_stop(loop, &keeper->heritage);
	if (keeper->heritage.fd >= 0)
		close(keeper->heritage.fd);
	peers_close(&keeper->peers);
	for (size_t i = 0; keeper->kept && i < count(keeper); i++) {
		ev_timer_stop(loop, &keeper->kept[i].timer);
		fetch_free(keeper->kept[i].fetch);
		held_free(&keeper->kept[i].held);
	}
	free(keeper->kept);
	free(keeper->news);
	resolver_free(keeper->caller.resolver);
	tls_origin_leg_free(keeper->caller.leg);
	turn_close(&keeper->turn);
	free(keeper);
}

static int keeper_open_kept(struct keeper *keeper, struct why *why)
{
	const struct config *config = keeper->context->config;
	size_t n = config->ncredentials;
	bool fetches = false;

	keeper->kept = calloc(n + 1, sizeof(*keeper->kept));
	keeper->news = calloc(n + 1, sizeof(*keeper->news));
	if (!keeper->kept || !keeper->news)
		return why_set(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct kept *kept = &keeper->kept[i];

		kept->keeper = keeper;
		kept->config = &config->credentials[i];
		ev_timer_init(&kept->timer, on_timer, 0., 0.);
		kept->timer.data = kept;
		keeper->news[i].held = &kept->held;
		if (!fetch_is_needed(kept->config))
			continue;
		fetches = true;
		kept->fetch = fetch_new(&keeper->caller, kept->config, on_fetched, kept);
		if (!kept->fetch)
			return why_set(why, ENOMEM, "out of memory");
	}
	if (!fetches)
		return 0;
	/* Reads all the roots that there are: only who needs them has them. */
	keeper->caller.leg = tls_origin_leg_new(config, -1, why);
	if (!keeper->caller.leg)
		return -EINVAL;
	keeper->caller.resolver = resolver_new(keeper->context->loop, config, why);
	return keeper->caller.resolver ? 0 : -EIO;
}

static int keeper_init(struct role_context *context, void **state, struct why *why)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int error;

	if (!keeper)
		return why_set(why, ENOMEM, "out of memory");
	keeper->context = context;
	turn_open(&keeper->turn, context->loop);
	keeper->caller = (struct http_caller){.turn = &keeper->turn, .config = context->config};
	ev_timer_init(&keeper->grace, on_grace, GRACE_S, 0.);
	ev_timer_init(&keeper->patience, on_patience, HERITAGE_S, 0.);
	ev_io_init(&keeper->heritage, on_heritage, role_fd(context, "heritage"), EV_READ);
	keeper->grace.data = keeper->patience.data = keeper->heritage.data = keeper;
	error = keeper_open_kept(keeper, why);
	peers_open(&keeper->peers, context->loop, keeper->news, context->config->ncredentials,
		on_peer_gone, on_refused);
	if (error) {
		keeper_close(keeper);
		return error;
	}
	ev_timer_start(context->loop, &keeper->grace);
	if (keeper->heritage.fd >= 0) {
		ev_io_start(context->loop, &keeper->heritage);
		ev_timer_start(context->loop, &keeper->patience);
	} else {
		begin_to_fetch(keeper);
	}
	*state = keeper;
	return 0;
}

const struct role keeper_role = {
	.title = "keeper",
	.init = keeper_init,
	.message = keeper_message,
	.drain = keeper_drain,
	.close = keeper_close,
};
