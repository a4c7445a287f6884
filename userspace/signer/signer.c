// SPDX-License-Identifier: GPL-2.0-or-later
/* The signer: the one process with the CA's key. It speaks with workers only, over a socket each,
 * and mints for the hosts of the configuration and for nothing else. */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "supervise/role.h"
#include "tls/ca.h"
#include "tls/leaf.h"

/* A worker gone wrong must not fill the log. */
#define COMPLAINT_NS (10 * NS_PER_S)
#define TELLING_NS   (60 * NS_PER_S) /* between two events of one kind about a worker */
#define BURST_S	     10		     /* of tls.leaf_rate, at once */

struct signer {
	struct role_context *context;
	struct ca *ca;
	struct list peers;
	uint64_t complained_ns;
	bool draining;
};

/* A worker. Its next request is read only when the answer to the last one is sent, so that each
 * has at most one answer in memory and all have their turn. */
struct signer_peer {
	struct list node;
	struct signer *signer;
	uint32_t number;
	/* For which leaves are minted: the first that came over this socket, and no other. */
	EVP_PKEY *keys[LEAF_KINDS];
	double messages;       /* that it may send now, as many as leaves that it may have … */
	uint64_t messages_ns;  /* … as of this moment */
	uint64_t limited_ns;   /* when it was told last that they are too many; 0: never */
	uint64_t suspected_ns; /* likewise, that it sent a key that is refused */
	ev_timer pause;	       /* until it may send one */
	ev_io io;
	struct buf reply;
	_Alignas(max_align_t) char request[1024];
};

static void peer_close(struct signer_peer *peer)
{
	struct signer *signer = peer->signer;

	ev_io_stop(signer->context->loop, &peer->io);
	ev_timer_stop(signer->context->loop, &peer->pause);
	close(peer->io.fd);
	list_remove(&peer->node);
	leaf_keys_free(peer->keys);
	buf_free(&peer->reply);
	free(peer);
	if (signer->draining && list_empty(&signer->peers))
		role_exit(signer->context);
}

static void peer_watch(struct signer_peer *peer, int events)
{
	struct ev_loop *loop = peer->signer->context->loop;

	if (peer->io.events == events && ev_is_active(&peer->io))
		return;
	ev_io_stop(loop, &peer->io);
	ev_io_set(&peer->io, peer->io.fd, events);
	ev_io_start(loop, &peer->io);
}

static void peer_complain(struct signer_peer *peer, const char *problem)
{
	struct signer *signer = peer->signer;
	uint64_t now = clock_monotonic_ns();

	if (signer->complained_ns && now - signer->complained_ns < COMPLAINT_NS)
		return;
	signer->complained_ns = now;
	log_warning("worker %u: %s", peer->number, problem);
}

/* Whether something about the worker is told now; *told_ns is when it was last. */
static bool peer_may_tell(uint64_t *told_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (*told_ns && now - *told_ns < TELLING_NS)
		return false;
	*told_ns = now;
	return true;
}

static void peer_suspect(struct signer_peer *peer, const char *problem)
{
	struct control_suspect told = {.number = peer->number};

	if (!peer_may_tell(&peer->suspected_ns))
		return;
	snprintf(
		told.problem, sizeof(told.problem), "%.*s", (int)sizeof(told.problem) - 1, problem);
	role_send(peer->signer->context, CONTROL_SUSPECT, &told, sizeof(told), NULL, 0);
}

static unsigned peer_keys(const struct signer_peer *peer)
{
	unsigned n = 0;

	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		n += peer->keys[kind] != NULL;
	return n;
}

/* A worker has one key of a kind for its life. Whoever sends another is not what it was. */
static void peer_take_key(struct signer_peer *peer, const struct ipc_message *message)
{
	struct signer *signer = peer->signer;
	unsigned before = peer_keys(peer);
	struct why why = {""}, told;

	if (!leaf_key_bind(peer->keys, signer->ca, slice_of(message->body, message->len), &why)) {
		/* Those that each worker has to send are not counted against it. */
		peer->messages += peer_keys(peer) - before;
		return;
	}
	counter_add(signer->context->counters, COUNTER_SIGNER_KEY_REFUSED, 1);
	why_set(&told, EPERM, "sent %s, which is refused", why.text);
	peer_complain(peer, told.text);
	peer_suspect(peer, told.text);
}

/* Whether there is a reply to send. */
static bool peer_answer(struct signer_peer *peer, const struct ipc_message *message)
{
	struct signer *signer = peer->signer;
	struct role_context *context = signer->context;
	struct slice request = slice_of(message->body, message->len);
	int result = -EBADMSG;

	if (message->type == LEAF_KEY) {
		peer_take_key(peer, message);
		return false;
	}
	if (message->type == LEAF_REQUEST)
		result = leaf_answer(signer->ca, peer->keys, context->config, request,
			clock_realtime_ns(), &peer->reply);
	if (result == 1) {
		counter_add(context->counters, COUNTER_SIGNER_MINTED, 1);
		return true;
	}
	counter_add(context->counters, COUNTER_SIGNER_REFUSED, 1);
	if (result == 0) {
		struct slice text = leaf_refusal(buf_slice(&peer->reply));

		peer_complain(peer, log_quote(text).text);
		return true;
	}
	buf_clear(&peer->reply);
	/* Nobody of ours sends that: the worker is not what it was. It cannot be answered. */
	peer_complain(peer, result == -EBADMSG ? "sent no request that can be read"
					       : "no memory for an answer");
	return false;
}

static void peer_tell_limited(struct signer_peer *peer)
{
	const struct control_peer told = {.number = peer->number};

	counter_add(peer->signer->context->counters, COUNTER_SIGNER_LIMITED, 1);
	if (peer_may_tell(&peer->limited_ns))
		role_send(peer->signer->context, CONTROL_LIMITED, &told, sizeof(told), NULL, 0);
}

/* Whether the worker may send something now, be it answered with a leaf or refused. If not, it is
 * heard again when it may. */
static bool peer_may_ask(struct signer_peer *peer)
{
	double rate = peer->signer->context->config->tls.leaf_rate;
	uint64_t now = clock_monotonic_ns();

	peer->messages += rate * (double)(now - peer->messages_ns) / NS_PER_S;
	peer->messages_ns = now;
	if (peer->messages > rate * BURST_S)
		peer->messages = rate * BURST_S;
	if (peer->messages >= 1)
		return true;
	ev_io_stop(peer->signer->context->loop, &peer->io);
	ev_timer_set(&peer->pause, (1 - peer->messages) / rate, 0);
	ev_timer_start(peer->signer->context->loop, &peer->pause);
	peer_tell_limited(peer);
	return false;
}

static void peer_goes_on(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct signer_peer *peer = timer->data;

	(void)events;
	ev_io_start(loop, &peer->io);
}

static void peer_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct signer_peer *peer = io->data;
	struct ipc_message message;
	int result;

	(void)loop;
	(void)events;
	if (!buf_len(&peer->reply)) {
		if (!peer_may_ask(peer))
			return;
		result = ipc_receive(io->fd, peer->request, sizeof(peer->request), &message);
		if (result == -EAGAIN)
			return;
		peer->messages--;
		if (result == -EBADMSG) {
			counter_add(peer->signer->context->counters, COUNTER_SIGNER_REFUSED, 1);
			peer_complain(peer, "sent no message of ours");
			return;
		}
		if (result <= 0) {
			peer_close(peer);
			return;
		}
		ipc_close_fds(&message);
		if (!peer_answer(peer, &message))
			return;
	}
	result = ipc_send(
		io->fd, LEAF_REPLY, buf_slice(&peer->reply).data, buf_len(&peer->reply), NULL, 0);
	if (result == -EAGAIN) {
		peer_watch(peer, EV_WRITE);
		return;
	}
	if (result) {
		peer_close(peer);
		return;
	}
	buf_clear(&peer->reply);
	peer_watch(peer, EV_READ);
}

static void signer_add_peer(struct signer *signer, uint32_t number, int fd)
{
	struct signer_peer *peer = calloc(1, sizeof(*peer));

	if (!peer) {
		log_error("worker %u: no memory for its socket", number);
		close(fd);
		return;
	}
	peer->signer = signer;
	peer->number = number;
	list_append(&signer->peers, &peer->node);
	peer->messages = (double)signer->context->config->tls.leaf_rate * BURST_S;
	peer->messages_ns = clock_monotonic_ns();
	ev_timer_init(&peer->pause, peer_goes_on, 0, 0);
	peer->pause.data = peer;
	ev_io_init(&peer->io, peer_ready, fd, EV_READ);
	peer->io.data = peer;
	ev_io_start(signer->context->loop, &peer->io);
}

/* ---- the role ---- */

static void signer_warn(void *context, const char *problem)
{
	(void)context;
	log_warning("%s", problem);
}

static int signer_rehearse_host(struct signer *signer, const char *pattern, EVP_PKEY *const *keys,
	uint64_t now, struct why *why)
{
	char name[HOST_NAME_SIZE];
	int error = 0;

	/* For "*.example.com" some name that falls under it. */
	snprintf(name, sizeof(name), "%s%s", *pattern == '*' ? "any" : "",
		*pattern == '*' ? pattern + 1 : pattern);
	for (unsigned kind = 0; kind < LEAF_KINDS && !error; kind++) {
		X509 *leaf;

		error = leaf_mint(signer->ca, slice_of_string(name), keys[kind],
			signer->context->config->tls.leaf_validity_ns, now, &leaf, why);
		X509_free(leaf);
	}
	if (error != -EPERM)
		return error;
	log_warning("%s: %s; its clients will see a failed handshake", pattern, why->text);
	return 0;
}

/* Says at the start what would otherwise fail at the first call of a client; and everything that
 * OpenSSL fetches for a minting is fetched before the sandbox closes. */
static int signer_rehearse(struct signer *signer, struct why *why)
{
	const struct config *config = signer->context->config;
	uint64_t now = clock_realtime_ns();
	EVP_PKEY *keys[LEAF_KINDS] = {NULL}, *bound[LEAF_KINDS] = {NULL};
	int error = ca_check(signer->ca, now, signer_warn, NULL, why);

	if (!error)
		error = leaf_keys_make(keys, why);
	for (unsigned kind = 0; kind < LEAF_KINDS && !error; kind++) {
		struct buf message = BUF_EMPTY;

		error = leaf_key_write(keys, kind, &message)
				? why_set(why, ENOMEM, "out of memory")
				: leaf_key_bind(
					  bound, signer->ca, buf_slice(&message), why);
		buf_free(&message);
	}
	for (size_t i = 0; !error && i < config->nhosts; i++)
		error = signer_rehearse_host(signer, config->hosts[i].pattern, bound, now, why);
	leaf_keys_free(bound);
	leaf_keys_free(keys);
	return error;
}

static void signer_close(void *state)
{
	struct signer *signer = state;

	if (!signer)
		return;
	signer->draining = false;
	list_for_each_safe (node, &signer->peers)
		peer_close(list_entry(node, struct signer_peer, node));
	ca_free(signer->ca);
	free(signer);
}

static int signer_init(struct role_context *context, void **state, struct why *why)
{
	int key = role_fd(context, "ca_key"), certificate = role_fd(context, "ca_certificate");
	struct signer *signer = calloc(1, sizeof(*signer));
	int error = -ENOMEM;

	if (!signer) {
		why_set(why, ENOMEM, "out of memory");
		goto out;
	}
	signer->context = context;
	list_init(&signer->peers);
	error = key < 0 ? why_set(why, EBADF, "the CA's key was not handed over")
			: ca_read_fd(certificate, key, &signer->ca, why);
	if (!error)
		error = signer_rehearse(signer, why);
out:
	close(key);
	close(certificate);
	if (error)
		signer_close(signer);
	else
		*state = signer;
	return error;
}

static void signer_message(void *state, struct ipc_message *message)
{
	struct control_peer peer;

	if (message->type != CONTROL_PEER || message->len != sizeof(peer) || message->nfds != 1)
		return;
	memcpy(&peer, message->body, sizeof(peer));
	signer_add_peer(state, peer.number, message->fds[0]);
	message->fds[0] = -1;
}

static void signer_drain(void *state, bool patient)
{
	struct signer *signer = state;

	/* Workers that are still there may yet shake hands; the last of them ends the signer. */
	signer->draining = true;
	if (!patient || list_empty(&signer->peers))
		role_exit(signer->context);
}

const struct role signer_role = {
	.title = "signer",
	.init = signer_init,
	.message = signer_message,
	.drain = signer_drain,
	.close = signer_close,
};
