// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/keyed.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "collector/seal.h"

struct keyed {
	EVP_MAC *algorithm, *hmac;
	EVP_MAC_CTX *context, *linking;
	uint8_t key[KEYED_KEY];
};

/* The seal of a store's key; NULL: contents are not sealed, or error is set. */
static struct seal *keyed_seal(const char *directory, int *error, struct why *why)
{
	static const uint8_t salt[SEAL_SALT]; /* no day has this one */
	struct seal *seal = NULL;
	struct seal_key key;

	*error = seal_key_find(directory, &key, why);
	if (!*error && !(seal = seal_new(&key, salt)))
		*error = why_set(why, ENOMEM, "out of memory");
	OPENSSL_cleanse(&key, sizeof(key));
	if (*error == -ENOENT)
		*error = 0;
	return seal;
}

/* Whole or not at all: blocks that were found by half a key would be found no more. */
static int keyed_write(const char *path, struct slice content, struct why *why)
{
	char new[4096];
	int fd, error = 0;

	if (snprintf(new, sizeof(new), "%s.new", path) >= (int)sizeof(new))
		return why_set(why, ENAMETOOLONG, "%s: too long", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_set(why, errno, "%s: %m", new);
	if (write(fd, content.data, content.len) != (ssize_t)content.len || fsync(fd) < 0)
		error = why_set(why, errno ? errno : EIO, "%s: %m", new);
	close(fd);
	if (!error && rename(new, path) < 0)
		error = why_set(why, errno, "%s: %m", path);
	return error;
}

static int keyed_make(const char *path, const uint8_t key[KEYED_KEY], struct seal *seal, struct why *why)
{
	struct slice plain = slice_of((const char *)key, KEYED_KEY);
	struct buf sealed = BUF_EMPTY;
	int error = seal ? seal_close(seal, plain, &sealed) : 0;

	error = error ? why_set(why, ENOMEM, "out of memory")
		      : keyed_write(path, seal ? buf_slice(&sealed) : plain, why);
	buf_free(&sealed);
	return error;
}

/* *clear: it is not sealed. */
static int keyed_read(struct keyed *keyed, const char *path, uid_t owner, struct seal *seal,
	bool *clear, struct why *why)
{
	struct buf file = BUF_EMPTY, opened = BUF_EMPTY;
	int fd = file_secret_open(path, owner, why);
	int error = fd < 0 ? fd : file_read_fd(fd, KEYED_FILE_MAX, &file, why);
	struct slice key = buf_slice(&file);

	if (fd >= 0)
		close(fd);
	*clear = !seal_is(key);
	if (!error && !*clear && !seal)
		error = why_set(why, EACCES,
			"%s: it is encrypted: " SEAL_LINK " beside it is to be a link to the key file",
			path);
	if (!error && !*clear) {
		if (seal_open(seal, key, &opened) < 0)
			error = why_set(why, EACCES,
				"%s: it was encrypted with another key file than the one that " SEAL_LINK
				" beside it leads to",
				path);
		key = buf_slice(&opened);
	}
	if (!error && key.len != KEYED_KEY)
		error = why_set(why, EINVAL, "%s: not the key of a store", path);
	if (!error)
		memcpy(keyed->key, key.data, KEYED_KEY);
	buf_wipe(&file);
	buf_wipe(&opened);
	return error;
}

static int keyed_load(struct keyed *keyed, const char *directory, bool make, struct why *why)
{
	struct stat status;
	struct seal *seal;
	char path[4096];
	bool clear = false;
	int error;

	if (snprintf(path, sizeof(path), "%s/key", directory) >= (int)sizeof(path))
		return why_set(why, ENAMETOOLONG, "%s: too long", directory);
	if (stat(directory, &status) < 0)
		return why_set(why, errno, "%s: %m", directory);
	seal = keyed_seal(directory, &error, why);
	if (!error && make && access(path, F_OK) < 0)
		error = RAND_bytes(keyed->key, KEYED_KEY) == 1
				? keyed_make(path, keyed->key, seal, why)
				: why_set(why, EIO, "%s: there is no randomness", path);
	/* Root may read what belongs to the collector. */
	if (!error)
		error = keyed_read(keyed, path, status.st_uid, seal, &clear, why);
	/* From now on contents are sealed. */
	if (!error && make && seal && clear)
		error = keyed_make(path, keyed->key, seal, why);
	seal_free(seal);
	return error;
}

static int keyed_prepare(struct keyed *keyed, struct why *why)
{
	OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string("digest", (char[]){"SHA256"}, 0),
		OSSL_PARAM_construct_end()};

	keyed->algorithm = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	keyed->context = keyed->algorithm ? EVP_MAC_CTX_new(keyed->algorithm) : NULL;
	keyed->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	keyed->linking = keyed->hmac ? EVP_MAC_CTX_new(keyed->hmac) : NULL;
	if (!keyed->context || !keyed->linking ||
		EVP_MAC_init(keyed->linking, keyed->key, sizeof(keyed->key), digest) != 1)
		return why_set(why, ENOMEM, "SipHash or HMAC is not there");
	return 0;
}

struct keyed *keyed_open(const char *directory, bool make, struct why *why)
{
	struct keyed *keyed = calloc(1, sizeof(*keyed));
	int error = keyed ? keyed_load(keyed, directory, make, why)
			  : why_set(why, ENOMEM, "out of memory");

	if (!error)
		error = keyed_prepare(keyed, why);
	if (!error)
		return keyed;
	keyed_close(keyed);
	return NULL;
}

void keyed_close(struct keyed *keyed)
{
	if (!keyed)
		return;
	EVP_MAC_CTX_free(keyed->context);
	EVP_MAC_free(keyed->algorithm);
	EVP_MAC_CTX_free(keyed->linking);
	EVP_MAC_free(keyed->hmac);
	OPENSSL_cleanse(keyed, sizeof(*keyed));
	free(keyed);
}

bool keyed_hash(struct keyed *keyed, struct slice text, struct keyed_hash *hash)
{
	size_t len = 0;

	return EVP_MAC_init(keyed->context, keyed->key, sizeof(keyed->key), NULL) == 1 &&
	       EVP_MAC_update(keyed->context, (const unsigned char *)text.data, text.len) == 1 &&
	       EVP_MAC_final(keyed->context, hash->bytes, &len, sizeof(hash->bytes)) == 1 &&
	       len == sizeof(hash->bytes);
}

bool keyed_digest(
	struct keyed *keyed, uint64_t time_ns, const struct slice *texts, size_t n, int64_t *digest)
{
	/* Hashes of the same length: where a text ends makes a difference. */
	char parts[KEYED_TEXTS * KEYED_HASH + sizeof(time_ns)];
	struct keyed_hash hash;
	bool made = true;

	assert(n <= KEYED_TEXTS);
	for (size_t i = 0; i < n && made; i++) {
		made = keyed_hash(keyed, texts[i], &hash);
		memcpy(parts + i * KEYED_HASH, hash.bytes, KEYED_HASH);
	}
	memcpy(parts + n * KEYED_HASH, &time_ns, sizeof(time_ns));
	made = made && keyed_hash(keyed, slice_of(parts, n * KEYED_HASH + sizeof(time_ns)), &hash);
	if (made)
		memcpy(digest, hash.bytes, sizeof(*digest));
	return made;
}

bool keyed_link(struct keyed *keyed, const struct slice *texts, size_t n, struct keyed_link *link)
{
	uint64_t lengths[KEYED_TEXTS];
	bool made;
	size_t len = 0;

	assert(n <= KEYED_TEXTS);
	/* The lengths first: where a text ends makes a difference. */
	for (size_t i = 0; i < n; i++)
		lengths[i] = texts[i].len;
	made = EVP_MAC_init(keyed->linking, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(keyed->linking, (const unsigned char *)lengths,
		       n * sizeof(lengths[0])) == 1;
	for (size_t i = 0; i < n && made; i++)
		made = !texts[i].len || EVP_MAC_update(keyed->linking,
						(const unsigned char *)texts[i].data,
						texts[i].len) == 1;
	return made && EVP_MAC_final(keyed->linking, link->bytes, &len, sizeof(link->bytes)) == 1 &&
	       len == sizeof(link->bytes);
}
