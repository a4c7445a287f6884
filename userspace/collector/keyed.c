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
#include <unistd.h>

#include "base/file.h"

struct keyed {
	EVP_MAC *algorithm, *hmac;
	EVP_MAC_CTX *context, *linking;
	uint8_t key[KEYED_KEY];
};

static int keyed_make(const char *path, struct why *why)
{
	uint8_t key[KEYED_KEY];
	char new[4096];
	int fd, error = 0;

	if (snprintf(new, sizeof(new), "%s.new", path) >= (int)sizeof(new))
		return why_set(why, ENAMETOOLONG, "%s: too long", path);
	if (RAND_bytes(key, sizeof(key)) != 1)
		return why_set(why, EIO, "%s: there is no randomness", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_set(why, errno, "%s: %m", new);
	/* Whole or not at all: blocks that were found by half a key would be found no more. */
	if (write(fd, key, sizeof(key)) != sizeof(key) || fsync(fd) < 0)
		error = why_set(why, errno ? errno : EIO, "%s: %m", new);
	close(fd);
	if (!error && rename(new, path) < 0)
		error = why_set(why, errno, "%s: %m", path);
	OPENSSL_cleanse(key, sizeof(key));
	return error;
}

static int keyed_read(struct keyed *keyed, const char *path, struct why *why)
{
	int fd = file_secret_open(path, geteuid(), why);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, keyed->key, sizeof(keyed->key));
	close(fd);
	return n == sizeof(keyed->key) ? 0
				       : why_set(why, EINVAL, "%s: not the key of a store", path);
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
	char path[4096];
	int error = keyed ? 0 : why_set(why, ENOMEM, "out of memory");

	if (!error && snprintf(path, sizeof(path), "%s/key", directory) >= (int)sizeof(path))
		error = why_set(why, ENAMETOOLONG, "%s: too long", directory);
	if (!error && make && access(path, F_OK) < 0)
		error = keyed_make(path, why);
	if (!error)
		error = keyed_read(keyed, path, why);
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
