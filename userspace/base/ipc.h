/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages with file descriptors between the processes of the appliance (SOCK_SEQPACKET, unix(7)).
 * The sockets are not blocking. Both sides run the same binary, so bodies are plain structs; who
 * receives still checks the length, because a worker is less trusted than those it talks to. */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include <stddef.h>
#include <stdint.h>

#define IPC_MESSAGE_MAX 65536 /* bytes of a body */
#define IPC_FDS_MAX	16

struct ipc_message {
	uint32_t type;
	const void *body; /* inside the receiver's memory, aligned for any type */
	size_t len;
	int fds[IPC_FDS_MAX]; /* close-on-exec; the receiver's to close */
	size_t nfds;
};

/* A connected pair, both ends close-on-exec and not blocking. 0, or negative errno. */
int ipc_pair(int fds[2]);
/* Sends one whole message. The fds stay the caller's. 0, -EAGAIN (the socket is full: nothing was
 * sent), -EPIPE (the other end is gone; no signal is raised), -EMSGSIZE (over a limit), or another
 * negative errno. */
int ipc_send(int fd, uint32_t type, const void *body, size_t len, const int *fds, size_t nfds);
/* Receives one message into memory (size bytes, aligned for any type; IPC_MESSAGE_MAX suffices for
 * all). 1: *m is filled; 0: end of file; -EAGAIN: none there; -EBADMSG: not one of ours or longer
 * than size (dropped, its fds closed; the next call goes on); or another negative errno. */
int ipc_receive(int fd, void *memory, size_t size, struct ipc_message *m);
/* Closes the fds that nobody took: a taker sets fds[i] to -1. */
void ipc_close_fds(struct ipc_message *m);

#endif
