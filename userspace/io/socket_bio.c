// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/socket_bio.h"

#include <errno.h>
#include <sys/socket.h>

static bool socket_would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* What is left of the share of this turn. */
static size_t socket_bio_left(struct socket_bio *s)
{
	unsigned iteration = ev_iteration(s->turn->loop);

	if (s->iteration != iteration) {
		s->iteration = iteration;
		s->left = SOCKET_BIO_SHARE;
	}
	return s->left;
}

static int socket_bio_read(BIO *bio, char *memory, int size)
{
	struct socket_bio *s = BIO_get_data(bio);
	size_t left = socket_bio_left(s);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (s->refused) {
		errno = EPROTO;
		return -1;
	}
	if (!left) {
		s->dry = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	got = recv(s->fd, memory, (size_t)size < left ? (size_t)size : left, 0);
	if (got > 0) {
		s->left -= (size_t)got;
		return (int)got;
	}
	s->dry = true;
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	else if (socket_would_block(errno))
		BIO_set_retry_read(bio);
	return (int)got;
}

static int socket_bio_write(BIO *bio, const char *data, int len)
{
	struct socket_bio *s = BIO_get_data(bio);
	ssize_t gone = send(s->fd, data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (gone < 0 && socket_would_block(errno))
		BIO_set_retry_write(bio);
	return (int)gone;
}

static long socket_bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

/* Made once for all connections. */
static const BIO_METHOD *socket_bio_method(struct turn *turn)
{
	BIO_METHOD *made;

	if (turn->sockets)
		return turn->sockets;
	made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket with a share of a turn");
	if (made && BIO_meth_set_read(made, socket_bio_read) &&
		BIO_meth_set_write(made, socket_bio_write) &&
		BIO_meth_set_ctrl(made, socket_bio_control))
		turn->sockets = made;
	else
		BIO_meth_free(made);
	return turn->sockets;
}

BIO *socket_bio_new(struct socket_bio *s, struct turn *turn, int fd)
{
	const BIO_METHOD *method = socket_bio_method(turn);
	BIO *bio = method ? BIO_new(method) : NULL;

	if (!bio)
		return NULL;
	*s = (struct socket_bio){.turn = turn, .fd = fd};
	s->iteration = ev_iteration(turn->loop);
	s->left = SOCKET_BIO_SHARE;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	return bio;
}
