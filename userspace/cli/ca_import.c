// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/ca_import.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/file.h"
#include "tls/ca_parts.h"

#define FILE_MAX 1048576

static int read_password_file(const char *path, char password[CA_PASSWORD_SIZE], struct why *why)
{
	struct buf content = BUF_EMPTY;
	struct slice line;
	int error = file_read(path, CA_PASSWORD_SIZE + 2, &content, why);

	if (!error) {
		line = slice_first(buf_slice(&content), slice_index(buf_slice(&content), '\n'));
		if (line.len && line.data[line.len - 1] == '\r')
			line.len--;
		if (line.len >= CA_PASSWORD_SIZE || memchr(line.len ? line.data : "", 0, line.len))
			error = why_set(why, EINVAL,
				"%s: its first line is no password of 1 to %d bytes", path,
				CA_PASSWORD_SIZE - 1);
		else
			memcpy(password, line.len ? line.data : "", line.len);
		if (!error)
			password[line.len] = '\0';
	}
	buf_wipe(&content);
	return error;
}

static int get_password(
	void *context, const char *path, char password[CA_PASSWORD_SIZE], struct why *why)
{
	const struct ca_import_files *files = context;
	char prompt[300];

	if (files->password)
		return read_password_file(files->password, password, why);
	snprintf(prompt, sizeof(prompt), "Password of %.256s: ", path);
	if (EVP_read_pw_string(password, CA_PASSWORD_SIZE - 1, prompt, 0) == 0)
		return 0;
	ERR_clear_error();
	return why_set(why, EINVAL,
		"%s: it is encrypted, and no password could be read: give --password-file FILE",
		path);
}

static int add_file(struct ca_parts *parts, const struct ca_import_files *files, const char *path,
	struct why *why)
{
	struct buf content = BUF_EMPTY;
	int error;

	if (!path)
		return 0;
	error = file_read(path, FILE_MAX, &content, why);
	if (!error)
		error = ca_parts_read(parts, buf_slice(&content), path, get_password,
			(void *)(uintptr_t)files, why);
	buf_wipe(&content);
	return error;
}

int ca_import_read(const struct ca_import_files *files, void (*left_out)(const X509 *certificate),
	struct ca **ca, struct why *why)
{
	struct ca_parts parts = {0};
	int error;

	*ca = NULL;
	/* Whose key is named is not to get another one that lies beside a certificate. */
	error = add_file(&parts, files, files->key, why);
	if (!error && files->key && !parts.key)
		error = why_set(why, EINVAL, "%s: there is no private key in it", files->key);
	if (!error)
		error = add_file(&parts, files, files->certificate, why);
	if (!error)
		error = add_file(&parts, files, files->chain, why);
	if (!error)
		error = ca_parts_join(&parts, left_out, ca, why);
	ca_parts_free(&parts);
	return error;
}
