// SPDX-License-Identifier: GPL-2.0-or-later
/* The keeper: the one process that gets credentials of backends, and the only one that could be made
 * to give them out. It sees no payload; workers hear the latest value of each from it. */
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/key_file.h"
#include "keeper/held.h"
#include "keeper/peers.h"
#include "supervise/role.h"

/* So long the first attempts have until workers that wait for them begin without. */
#define GRACE_S 2.

struct keeper {
	struct role_context *context;
	struct held *held; /* of each credential, by index */
	struct peer_news *news;
	struct peers peers;
	ev_timer grace;
	bool draining;
};

static const struct config_credential *credential_of(const struct keeper *keeper, size_t i)
{
	return &keeper->context->config->credentials[i];
}

static size_t count(const struct keeper *keeper)
{
	return keeper->context->config->ncredentials;
}

/* ---- telling ---- */

/* The clock's time of a moment, 0 for none. */
static uint64_t realtime_of(uint64_t moment_ns, uint64_t now_ns)
{
	return moment_ns ? clock_realtime_ns() + moment_ns - now_ns : 0;
}

static void tell_parent(struct keeper *keeper, size_t i, bool renewed)
{
	const struct held *held = &keeper->held[i];
	uint64_t now_ns = clock_monotonic_ns();
	struct control_credential told = {
		.index = (uint32_t)i,
		.state = held_state(held, now_ns),
		.renewed = renewed,
		.got_ns = realtime_of(held->got_ns, now_ns),
		.expires_ns = realtime_of(held->expires_ns, now_ns),
		.next_ns = realtime_of(held->next_ns, now_ns),
	};

	memcpy(told.error, held->error, sizeof(told.error));
	(void)role_send(keeper->context, CONTROL_CREDENTIAL, &told, sizeof(told), NULL, 0);
}

static void all_known(struct keeper *keeper)
{
	ev_timer_stop(keeper->context->loop, &keeper->grace);
	keeper->peers.all_known = true;
}

/* Something of the credential has changed: everybody who has to know hears of it. */
static void tell(struct keeper *keeper, size_t i, bool renewed)
{
	bool all = true;

	for (size_t k = 0; k < count(keeper); k++)
		all = all && keeper->held[k].tried;
	keeper->news[i].edition++;
	if (all)
		all_known(keeper);
	tell_parent(keeper, i, renewed);
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

static void take_failure(struct keeper *keeper, size_t i, const char *why, bool retry)
{
	struct held *held = &keeper->held[i];
	bool again = strcmp(held->error, why) == 0;

	counter_add(keeper->context->counters, COUNTER_CREDENTIAL_FAILED, 1);
	held_fail(held, why, retry, 0, 0, clock_monotonic_ns());
	/* The same trouble each minute is told once: by the log as by the event. */
	if (!again)
		log_error("credential %s: %s%s", credential_of(keeper, i)->name, why,
			held->value ? "; the last good value stays in use" : "");
	tell(keeper, i, false);
}

static void take_value(struct keeper *keeper, size_t i, struct slice value)
{
	struct held *held = &keeper->held[i];
	bool first = !held->value, failing = held->error[0];
	int error;
	bool other = held_take(held, value, 0, 0, clock_monotonic_ns(), &error);

	if (error) {
		take_failure(keeper, i, "out of memory", false);
		return;
	}
	if (other)
		counter_add(keeper->context->counters, COUNTER_CREDENTIAL_RENEWED, 1);
	if (other || failing)
		log_info("credential %s: %s", credential_of(keeper, i)->name,
			!other	? "it can be had again"
			: first ? "it has its first value"
				: "it has another value");
	tell(keeper, i, other && !first);
}

/* ---- files ---- */

static void take_file(struct keeper *keeper, const struct ipc_message *message)
{
	char memory[CONFIG_PATH_SIZE];
	struct buf value = BUF_EMPTY;
	struct control_file file;
	struct why why = {""};
	const char *path;

	if (message->len != sizeof(file))
		return;
	memcpy(&file, message->body, sizeof(file));
	file.why[sizeof(file.why) - 1] = '\0';
	if (file.index >= count(keeper))
		return;
	path = config_credential_path(credential_of(keeper, file.index), memory);
	if (message->nfds != 1)
		take_failure(keeper, file.index, file.why, false);
	else if (key_file_read(message->fds[0], path ? path : "it", &value, &why) < 0)
		take_failure(keeper, file.index, why.text, false);
	else
		take_value(keeper, file.index, buf_slice(&value));
	buf_wipe(&value);
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

static void keeper_message(void *state, struct ipc_message *message)
{
	struct keeper *keeper = state;

	if (message->type == CONTROL_FILE) {
		take_file(keeper, message);
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

	ev_timer_stop(keeper->context->loop, &keeper->grace);
	peers_close(&keeper->peers);
	for (size_t i = 0; keeper->held && i < count(keeper); i++)
		held_free(&keeper->held[i]);
	free(keeper->held);
	free(keeper->news);
	free(keeper);
}

static int keeper_init(struct role_context *context, void **state, struct why *why)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	size_t n = context->config->ncredentials;

	if (!keeper)
		return why_set(why, ENOMEM, "out of memory");
	keeper->context = context;
	keeper->held = calloc(n + 1, sizeof(*keeper->held));
	keeper->news = calloc(n + 1, sizeof(*keeper->news));
	ev_timer_init(&keeper->grace, on_grace, GRACE_S, 0.);
	keeper->grace.data = keeper;
	peers_open(&keeper->peers, context->loop, keeper->news, n, on_peer_gone);
	if (!keeper->held || !keeper->news) {
		keeper_close(keeper);
		return why_set(why, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < n; i++)
		keeper->news[i].held = &keeper->held[i];
	ev_timer_start(context->loop, &keeper->grace);
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
