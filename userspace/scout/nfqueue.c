// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/nfqueue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"

#define PACKET_MAX    (65535 + 4096) /* a GSO packet, and what stands around it */
#define RECEIVE_BYTES (4 << 20)
#define LENGTH_MAX    4096 /* packets in a queue */
#define PER_TURN      64
#define REQUEST_MAX   512
/* A queue that is not read may drop its packets: at first, 10 seconds, there is no time to be lost.
 */
#define TRIES_SOON	 2000
#define RETRY_SOON_S	 0.005
#define RETRY_S		 0.05
#define ATTRIBUTE_HEADER sizeof(struct nlattr)

struct queue {
	struct nfqueue *owner;
	struct mnl_socket *socket;
	uint16_t number, index;
	bool bound;
	ev_io input;
};

struct nfqueue {
	struct ev_loop *loop;
	struct nfqueue_options options;
	struct counters *counters;
	ev_timer again;
	unsigned tries;
	_Alignas(struct nlmsghdr) char memory[PACKET_MAX];
	size_t n;
	struct queue queues[];
};

/* --- verdicts --- */

void nfqueue_verdict(
	struct nfqueue *owner, const struct nfqueue_packet *packet, bool pass, struct slice changed)
{
	_Alignas(struct nlmsghdr) char head[REQUEST_MAX];
	static const char padding[MNL_ALIGNTO];
	const struct queue *queue = &owner->queues[packet->queue];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr *message = nfq_nlmsg_put(head, NFQNL_MSG_VERDICT, queue->number);
	size_t pad = -changed.len % MNL_ALIGNTO;
	struct nlattr attribute = {
		.nla_type = NFQA_PAYLOAD,
		.nla_len = (uint16_t)(ATTRIBUTE_HEADER + changed.len),
	};
	struct iovec parts[4] = {{head, 0}, {&attribute, ATTRIBUTE_HEADER},
		{(void *)(uintptr_t)changed.data, changed.len}, {(void *)(uintptr_t)padding, pad}};
	struct msghdr sending = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = parts,
		.msg_iovlen = changed.len ? 4 : 1,
	};

	nfq_nlmsg_verdict_put(message, (int)packet->id, pass ? NF_ACCEPT : NF_DROP);
	parts[0].iov_len = message->nlmsg_len;
	if (changed.len)
		message->nlmsg_len += (uint32_t)(ATTRIBUTE_HEADER + changed.len + pad);
	/* The kernel takes it at once. It fails when the packet is gone, with its interface. */
	if (sendmsg(mnl_socket_get_fd(queue->socket), &sending, 0) < 0)
		counter_add(owner->counters, COUNTER_QUEUE_VERDICT_FAILED, 1);
}

/* --- packets --- */

static int on_message(const struct nlmsghdr *message, void *context)
{
	struct queue *queue = context;
	struct nlattr *attributes[NFQA_MAX + 1] = {NULL};
	const struct nfqnl_msg_packet_hdr *header;
	struct nfqueue_packet packet = {.queue = queue->index};
	struct nlattr *payload;

	if (nfq_nlmsg_parse(message, attributes) < 0 || !attributes[NFQA_PACKET_HDR])
		return MNL_CB_OK;
	header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	packet.id = ntohl(header->packet_id);
	if (attributes[NFQA_IFINDEX_INDEV])
		packet.interface = ntohl(mnl_attr_get_u32(attributes[NFQA_IFINDEX_INDEV]));
	payload = attributes[NFQA_PAYLOAD];
	counter_add(queue->owner->counters, COUNTER_QUEUE_PACKETS, 1);
	if (!payload || attributes[NFQA_CAP_LEN]) {
		/* Longer than the kernel copies: nothing is read of what is not whole. */
		counter_add(queue->owner->counters, COUNTER_QUEUE_UNREADABLE, 1);
		nfqueue_verdict(queue->owner, &packet,
			queue->owner->options.fail_open[queue->index / queue->owner->options.n],
			SLICE_NONE);
		return MNL_CB_OK;
	}
	queue->owner->options.each(queue->owner->options.context, &packet,
		mnl_attr_get_payload(payload), mnl_attr_get_payload_len(payload));
	return MNL_CB_OK;
}

static void on_input(struct ev_loop *loop, ev_io *input, int events)
{
	struct queue *queue = input->data;
	struct nfqueue *owner = queue->owner;

	(void)loop;
	(void)events;
	for (int i = 0; i < PER_TURN; i++) {
		ssize_t got = recv(input->fd, owner->memory, sizeof(owner->memory), MSG_DONTWAIT);

		if (got < 0 && errno == ENOBUFS) {
			/* The kernel had no room for some; it passed or dropped them. */
			counter_add(owner->counters, COUNTER_QUEUE_OVERRUN, 1);
			continue;
		}
		if (got <= 0)
			return;
		(void)mnl_cb_run(owner->memory, (size_t)got, 0,
			mnl_socket_get_portid(queue->socket), on_message, queue);
	}
}

/* --- opening --- */

/* All in one request: a new queue drops packets until it knows how much of them to copy. The kernel
 * works on it while it is sent. Packets may come at once, so no acknowledgement is asked for, and a
 * refusal, before which there is no packet, is only looked at. */
static int queue_configure(struct queue *queue, bool fail_open)
{
	_Alignas(struct nlmsghdr) char memory[REQUEST_MAX];
	uint32_t flags = NFQA_CFG_F_GSO | (fail_open ? (uint32_t)NFQA_CFG_F_FAIL_OPEN : 0);
	struct nlmsghdr *message = nfq_nlmsg_put(memory, NFQNL_MSG_CONFIG, queue->number);
	const struct nlmsghdr *answer = (const void *)memory;
	ssize_t got;

	nfq_nlmsg_cfg_put_cmd(message, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, 0xffff);
	mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(flags));
	mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(flags));
	nfq_nlmsg_cfg_put_qmaxlen(message, LENGTH_MAX);
	if (mnl_socket_sendto(queue->socket, message, message->nlmsg_len) < 0)
		return -errno;
	got = recv(mnl_socket_get_fd(queue->socket), memory, sizeof(memory), MSG_PEEK);
	if (got >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
		answer->nlmsg_type == NLMSG_ERROR) {
		(void)recv(mnl_socket_get_fd(queue->socket), memory, sizeof(memory), 0);
		return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(answer))->error;
	}
	return 0;
}

static int queue_open(struct queue *queue)
{
	int bytes = RECEIVE_BYTES, fd;

	queue->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!queue->socket || mnl_socket_bind(queue->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	fd = mnl_socket_get_fd(queue->socket);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return 0;
}

/* Takes the queues that nobody reads. During a reload the scout before this one reads them still.
 */
static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct nfqueue *owner = timer->data;
	int error = 0;

	(void)events;
	for (size_t i = 0; i < owner->n; i++) {
		struct queue *queue = &owner->queues[i];
		bool fail_open = owner->options.fail_open[i / owner->options.n];
		int result = queue->bound ? 0 : queue_configure(queue, fail_open);

		if (!result && !queue->bound) {
			queue->bound = true;
			ev_io_start(loop, &queue->input);
		}
		error = result ? result : error;
	}
	if (!error) {
		if (owner->tries > TRIES_SOON)
			log_info("packet queues: read now");
		ev_timer_stop(loop, timer);
		return;
	}
	if (owner->tries++ == TRIES_SOON)
		log_warning("packet queues from %u on: %s: does another process read them? "
			    "(datapath.queue_base); datapath.fail holds for what they are for",
			owner->options.first, strerror(-error));
	timer->repeat = owner->tries < TRIES_SOON ? RETRY_SOON_S : RETRY_S;
	ev_timer_again(loop, timer);
}

int nfqueue_open(struct ev_loop *loop, const struct nfqueue_options *options,
	struct counters *counters, struct nfqueue **opened, struct why *why)
{
	size_t n = (size_t)options->n * NFQUEUE_KINDS;
	struct nfqueue *owner = calloc(1, sizeof(*owner) + n * sizeof(struct queue));

	if (!owner)
		return why_set(why, ENOMEM, "packet queues: no memory");
	owner->loop = loop;
	owner->options = *options;
	owner->counters = counters;
	for (; owner->n < n; owner->n++) {
		struct queue *queue = &owner->queues[owner->n];
		int error;

		queue->owner = owner;
		queue->index = (uint16_t)owner->n;
		queue->number = (uint16_t)(options->first + owner->n);
		error = queue_open(queue);
		if (error) {
			if (queue->socket)
				mnl_socket_close(queue->socket);
			why_set(why, -error, "packet queues: %s", strerror(-error));
			nfqueue_close(owner);
			return error;
		}
		ev_io_init(&queue->input, on_input, mnl_socket_get_fd(queue->socket), EV_READ);
		queue->input.data = queue;
	}
	ev_timer_init(&owner->again, on_again, 0., RETRY_SOON_S);
	owner->again.data = owner;
	ev_timer_start(loop, &owner->again);
	*opened = owner;
	return 0;
}

bool nfqueue_reads(const struct nfqueue *owner)
{
	for (size_t i = 0; i < owner->n; i++)
		if (!owner->queues[i].bound)
			return false;
	return true;
}

void nfqueue_close(struct nfqueue *owner)
{
	if (!owner)
		return;
	ev_timer_stop(owner->loop, &owner->again);
	for (size_t i = 0; i < owner->n; i++) {
		ev_io_stop(owner->loop, &owner->queues[i].input);
		mnl_socket_close(owner->queues[i].socket);
	}
	free(owner);
}
