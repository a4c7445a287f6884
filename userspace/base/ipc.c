// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What precedes each body. The magic tells our messages from whatever else a confused or hostile
 * end might write. */
struct ipc_head {
	uint32_t magic;
	uint32_t type;
};

#define IPC_MAGIC 0x53504950u
/* Room for a few messages of the greatest length, and for hundreds of the usual ones. */
#define IPC_BUFFER (8 * IPC_MESSAGE_MAX)

union ipc_control {
	struct cmsghdr align;
	char memory[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

int ipc_pair(int fds[2])
{
	static const int size = IPC_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		/* Beyond net.core.wmem_max for root only; a smaller buffer works, too. */
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return 0;
}

int ipc_send(int fd, uint32_t type, const void *body, size_t len, const int *fds, size_t nfds)
{
	struct ipc_head head = {.magic = IPC_MAGIC, .type = type};
	struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)body, len}};
	union ipc_control control;
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = len ? 2 : 1};
	ssize_t sent;

	if (len > IPC_MESSAGE_MAX || nfds > IPC_FDS_MAX)
		return -EMSGSIZE;
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS)
		return -EAGAIN;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static void ipc_take_fds(struct msghdr *message, struct ipc_message *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		/* The control buffer holds no more than IPC_FDS_MAX; the kernel cuts the rest. */
		if (n > IPC_FDS_MAX - m->nfds)
			n = IPC_FDS_MAX - m->nfds;
		memcpy(m->fds + m->nfds, CMSG_DATA(c), n * sizeof(int));
		m->nfds += n;
	}
}

int ipc_receive(int fd, void *memory, size_t size, struct ipc_message *m)
{
	struct ipc_head head = {0, 0};
	struct iovec parts[2] = {{&head, sizeof(head)}, {memory, size}};
	union ipc_control control;
	struct msghdr message = {.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t got;

	m->nfds = 0;
	/* A peer that closed without reading all resets; that is told once, and before what it
	 * sent earlier, which is still there. */
	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got <= 0)
		return got < 0 ? -errno : 0;
	ipc_take_fds(&message, m);
	if ((size_t)got < sizeof(head) || head.magic != IPC_MAGIC ||
		(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		ipc_close_fds(m);
		return -EBADMSG;
	}
	m->type = head.type;
	m->body = memory;
	m->len = (size_t)got - sizeof(head);
	return 1;
}

void ipc_close_fds(struct ipc_message *m)
{
	for (size_t i = 0; i < m->nfds; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
	m->nfds = 0;
}
