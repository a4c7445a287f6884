// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/collector_files.h"

#include <errno.h>
#include <unistd.h>

#include "config/key_file.h"
#include "supervise/role.h"
#include "tls/forward_leg.h"
#include "tls/pem.h"

#define PEM_MAX (1u << 20) /* bytes of a certificate's file */

int collector_files_key(struct role_context *context, struct buf *key, struct why *why)
{
	int fd = role_fd(context, "collector_key");
	int error;

	if (fd < 0)
		return why_set(why, EBADF, "no key of the collector was handed over");
	error = key_file_read(fd, context->config->audit.collector_key_file, key, why);
	close(fd);
	return error;
}

/* Appends a file that was handed over; one that is not configured is left out. */
static int files_pem(struct role_context *context, const char *name, const char *path,
	struct buf *pem, struct why *why)
{
	struct why inner = {""};
	int fd = path ? role_fd(context, name) : -1, error;

	if (!path)
		return 0;
	if (fd < 0)
		return why_set(why, EBADF, "%s was not handed over", path);
	error = pem_read_fd(fd, PEM_MAX, pem, &inner);
	close(fd);
	return error ? why_set(why, -error, "%s: %s", path, inner.text) : 0;
}

int collector_files_tls(struct role_context *context, SSL_CTX **tls, struct why *why)
{
	const struct config_audit *audit = &context->config->audit;
	struct buf authority = BUF_EMPTY, certificate = BUF_EMPTY, key = BUF_EMPTY;
	int error = files_pem(context, "collector_ca", audit->collector_ca_file, &authority, why);

	if (!error)
		error = files_pem(context, "collector_certificate", audit->collector_certificate_file,
			&certificate, why);
	if (!error)
		error = files_pem(context, "collector_certificate_key",
			audit->collector_certificate_key_file, &key, why);
	if (!error) {
		const struct forward_leg_pem pem = {buf_slice(&authority), buf_slice(&certificate),
			buf_slice(&key), audit->collector_ca_file,
			audit->collector_certificate_file, audit->collector_certificate_key_file};

		*tls = forward_leg_new(false, &pem, why);
		error = *tls ? 0 : -EINVAL;
	}
	buf_free(&authority);
	buf_free(&certificate);
	buf_wipe(&key);
	return error;
}
