// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/ca_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/replace.h"

static int read_both(const char *certificate, int key_fd, struct ca **ca, struct why *why)
{
	int fd = open(certificate, O_RDONLY | O_CLOEXEC), error;
	struct why inner;

	if (fd < 0)
		return why_set(
			why, errno, "%s: cannot be opened: %s", certificate, strerror(errno));
	error = ca_read_fd(fd, key_fd, ca, &inner);
	if (error)
		why_set(why, -error, "%s: %s", certificate, inner.text);
	close(fd);
	return error;
}

int ca_files_read(const char *certificate, const char *key, struct ca **ca, struct why *why)
{
	int fd = key ? open(key, O_RDONLY | O_CLOEXEC) : -1, error;

	*ca = NULL;
	if (key && fd < 0)
		return why_set(why, errno, "%s: cannot be opened: %s", key, strerror(errno));
	error = read_both(certificate, fd, ca, why);
	if (fd >= 0)
		close(fd);
	return error;
}

int ca_files_read_own(const struct ca_files *files, struct ca **ca, struct why *why)
{
	int fd = file_secret_open(files->key, files->owner, why), error;

	*ca = NULL;
	if (fd < 0)
		return fd;
	error = read_both(files->certificate, fd, ca, why);
	close(fd);
	return error;
}

/* Whether both paths are one file, however they are spelled: the same name in the same directory, which
 * is there. */
static bool is_one_file(const char *a, const char *b)
{
	char *copies[4] = {strdup(a), strdup(b), strdup(a), strdup(b)};
	struct stat first, second;
	bool one = false;

	if (copies[0] && copies[1] && copies[2] && copies[3])
		one = strcmp(basename(copies[0]), basename(copies[1])) == 0 &&
		      stat(dirname(copies[2]), &first) == 0 &&
		      stat(dirname(copies[3]), &second) == 0 && first.st_dev == second.st_dev &&
		      first.st_ino == second.st_ino;
	for (size_t i = 0; i < 4; i++)
		free(copies[i]);
	return one;
}

int ca_files_write(const struct ca_files *files, const struct ca *ca, bool force, struct why *why)
{
	struct buf certificates = BUF_EMPTY, key = BUF_EMPTY;
	char *certificate_temporary = NULL, *key_temporary = NULL;
	int error;

	if (!force && access(files->key, F_OK) == 0)
		return why_set(why, EEXIST,
			"%s: is there already; replaced with --force, and then no client trusts "
			"the "
			"new CA until it is installed there",
			files->key);
	if (!force && access(files->certificate, F_OK) == 0)
		return why_set(why, EEXIST, "%s: is there already (--force replaces it)",
			files->certificate);
	if (ca_write_certificates(ca, &certificates) || ca_write_key(ca, &key)) {
		error = why_set(why, ENOMEM, "out of memory");
		goto out;
	}
	error = replace_directory(files->key, why);
	if (!error)
		error = replace_directory(files->certificate, why);
	/* The certificate would be put in the key's place. */
	if (!error && is_one_file(files->key, files->certificate))
		error = why_set(why, EINVAL,
			"%s: expected a file for the certificate and another for the key, found one "
			"for both",
			files->key);
	if (!error)
		error = replace_write(files->key, 0600, buf_slice(&key), &key_temporary, why);
	if (!error)
		error = replace_write(files->certificate, 0644, buf_slice(&certificates),
			&certificate_temporary, why);
	if (!error)
		error = replace_place(key_temporary, files->key, force, why);
	if (!error)
		error = replace_place(certificate_temporary, files->certificate, force, why);
	replace_sync(files->key);
	replace_sync(files->certificate);
out:
	/* Gone already where they were renamed. */
	if (key_temporary)
		unlink(key_temporary);
	if (certificate_temporary)
		unlink(certificate_temporary);
	free(key_temporary);
	free(certificate_temporary);
	buf_free(&certificates);
	buf_wipe(&key);
	return error;
}

int ca_files_write_certificate(const struct ca_files *files, const struct ca *ca, struct why *why)
{
	struct buf certificates = BUF_EMPTY;
	int error;

	if (ca_write_certificates(ca, &certificates))
		error = why_set(why, ENOMEM, "out of memory");
	else
		error = replace_file(files->certificate, 0644, buf_slice(&certificates), why);
	buf_free(&certificates);
	return error;
}

void ca_files_free(struct ca_files *files)
{
	free(files->certificate);
	free(files->key);
	files->certificate = files->key = NULL;
}
