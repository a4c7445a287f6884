// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/sender_tls.h"

#include <unistd.h>

#include "base/file.h"
#include "tls/forward_leg.h"

#define SENDER_TLS_MAX (1u << 20) /* bytes of a file */

static int sender_tls_key(const char *path, struct buf *pem, struct why *why)
{
	int fd = file_secret_open(path, geteuid(), why);
	int error = fd < 0 ? fd : file_read_fd(fd, SENDER_TLS_MAX, pem, why);

	if (fd >= 0)
		close(fd);
	return error;
}

SSL_CTX *sender_tls_new(const struct sender_tls *files, struct why *why)
{
	struct buf authority = BUF_EMPTY, certificate = BUF_EMPTY, key = BUF_EMPTY;
	SSL_CTX *context = NULL;
	int error = file_read(files->certificate, SENDER_TLS_MAX, &certificate, why);

	if (!error)
		error = sender_tls_key(files->key, &key, why);
	if (!error && files->authority)
		error = file_read(files->authority, SENDER_TLS_MAX, &authority, why);
	if (!error) {
		const struct forward_leg_pem pem = {buf_slice(&authority),
			buf_slice(&certificate), buf_slice(&key), files->authority,
			files->certificate, files->key};

		context = forward_leg_new(true, &pem, why);
	}
	buf_free(&authority);
	buf_free(&certificate);
	buf_wipe(&key);
	return context;
}
