// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/secure_socket.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

int secure_open(struct secure_socket *s, int fd, SSL *ssl)
{
	*s = (struct secure_socket){.fd = fd, .ssl = ssl};
	if (!ssl || SSL_set_fd(ssl, fd) == 1)
		return 0;
	secure_close(s);
	return -ENOMEM;
}

void secure_close(struct secure_socket *s)
{
	if (s->ssl && SSL_is_init_finished(s->ssl))
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct secure_socket){.fd = -1};
}

/* What became of a call of TLS that returned no bytes. */
static int secure_result(struct secure_socket *s, int result)
{
	int saved = errno;

	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		s->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved && ERR_peek_error() == 0 ? -saved : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

int secure_handshake(struct secure_socket *s, struct why *why)
{
	const char *reason;
	long verdict;
	int result;

	if (!s->ssl || SSL_is_init_finished(s->ssl))
		return 1;
	ERR_clear_error();
	errno = 0;
	s->wants_write = false;
	result = SSL_do_handshake(s->ssl);
	if (result == 1)
		return 1;
	result = secure_result(s, result);
	if (result == -EAGAIN)
		return 0;
	verdict = SSL_get_verify_result(s->ssl);
	reason = ERR_reason_error_string(ERR_peek_last_error());
	if (verdict != X509_V_OK)
		reason = X509_verify_cert_error_string(verdict);
	ERR_clear_error();
	return why_set(why, EPROTO, "TLS: %s", reason ? reason : "the other side closed");
}

ssize_t secure_read(struct secure_socket *s, void *memory, size_t size)
{
	int result;

	if (!s->ssl) {
		ssize_t n = recv(s->fd, memory, size, MSG_DONTWAIT);

		return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
	}
	ERR_clear_error();
	errno = 0;
	s->wants_write = false;
	result = SSL_read(s->ssl, memory, size < INT_MAX ? (int)size : INT_MAX);
	return result > 0 ? result : secure_result(s, result);
}

ssize_t secure_write(struct secure_socket *s, struct slice data)
{
	int result;

	if (!s->ssl) {
		ssize_t n;

		do {
			n = send(s->fd, data.data, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		} while (n < 0 && errno == EINTR);
		return n >= 0 ? n : -errno;
	}
	ERR_clear_error();
	errno = 0;
	s->wants_write = false;
	result = SSL_write(s->ssl, data.data, data.len < INT_MAX ? (int)data.len : INT_MAX);
	if (result > 0)
		return result;
	result = secure_result(s, result);
	return result ? result : -ECONNRESET;
}

bool secure_pending(const struct secure_socket *s)
{
	return s->ssl && SSL_has_pending(s->ssl);
}
