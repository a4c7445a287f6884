// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define SEAL_FIRST 0x01 /* no frame of zstd and no dictionary begins with it */
#define SEAL_NONCE 12
#define SEAL_TAG   16
#define SEAL_HEAD  (1 + SEAL_NONCE)

struct seal {
	EVP_CIPHER_CTX *closing, *opening; /* each has the key */
};

/* ---- the key of a store ---- */

static int seal_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int seal_key_parse(struct slice text, struct seal_key *key)
{
	if (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (text.len != 2 * (size_t)SEAL_KEY)
		return -EINVAL;
	for (size_t i = 0; i < SEAL_KEY; i++) {
		int high = seal_digit(text.data[2 * i]), low = seal_digit(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int seal_key_read(const char *path, uid_t owner, struct seal_key *key, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int fd = file_secret_open(path, owner, why);
	int error = fd < 0 ? fd : file_read_fd(fd, 2 * SEAL_KEY + 2, &text, why);

	if (fd >= 0)
		close(fd);
	if (!error && seal_key_parse(buf_slice(&text), key) < 0)
		error = why_set(why, EINVAL,
			"%s: expected 64 hexadecimal digits, as openssl rand -hex 32 prints them", path);
	buf_wipe(&text);
	return error;
}

int seal_key_find(const char *directory, struct seal_key *key, struct why *why)
{
	char link[PATH_MAX], path[PATH_MAX];
	struct stat status;
	ssize_t len;

	if (snprintf(link, sizeof(link), "%s/" SEAL_LINK, directory) >= (int)sizeof(link))
		return why_set(why, ENAMETOOLONG, "%s: too long", directory);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return errno == ENOENT ? -ENOENT : why_set(why, EINVAL, "%s: %m", link);
	path[len] = '\0';
	if (stat(directory, &status) < 0)
		return why_set(why, EIO, "%s: %m", directory);
	len = seal_key_read(path, status.st_uid, key, why);
	return len == -ENOENT ? -EIO : (int)len;
}

/* ---- one file ---- */

static EVP_CIPHER_CTX *seal_context(const uint8_t key[SEAL_KEY], bool closing)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context &&
		EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, NULL, closing) == 1)
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

struct seal *seal_new(const struct seal_key *key, const uint8_t salt[SEAL_SALT])
{
	static const char purpose[] = "sallyport content";
	uint8_t text[sizeof(purpose) + SEAL_SALT], of_file[EVP_MAX_MD_SIZE];
	struct seal *seal = calloc(1, sizeof(*seal));
	unsigned len = 0;

	if (!seal)
		return NULL;
	memcpy(text, purpose, sizeof(purpose));
	memcpy(text + sizeof(purpose), salt, SEAL_SALT);
	if (HMAC(EVP_sha256(), key->bytes, SEAL_KEY, text, sizeof(text), of_file, &len) &&
		len == SEAL_KEY) {
		seal->closing = seal_context(of_file, true);
		seal->opening = seal_context(of_file, false);
	}
	OPENSSL_cleanse(of_file, sizeof(of_file));
	if (seal->closing && seal->opening)
		return seal;
	seal_free(seal);
	return NULL;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	EVP_CIPHER_CTX_free(seal->closing);
	EVP_CIPHER_CTX_free(seal->opening);
	free(seal);
}

bool seal_is(struct slice blob)
{
	return blob.len >= SEAL_HEAD + SEAL_TAG && blob.data[0] == SEAL_FIRST;
}

int seal_close(struct seal *seal, struct slice plain, struct buf *out)
{
	size_t whole = SEAL_HEAD + plain.len + SEAL_TAG;
	uint8_t *room = plain.len > INT_MAX ? NULL : (uint8_t *)buf_reserve(out, whole);
	int len = 0, rest = 0;

	if (!room)
		return -ENOMEM;
	room[0] = SEAL_FIRST;
	if (RAND_bytes(room + 1, SEAL_NONCE) != 1 ||
		EVP_EncryptInit_ex(seal->closing, NULL, NULL, NULL, room + 1) != 1 ||
		EVP_EncryptUpdate(seal->closing, room + SEAL_HEAD, &len,
			(const uint8_t *)plain.data, (int)plain.len) != 1 ||
		EVP_EncryptFinal_ex(seal->closing, room + SEAL_HEAD + len, &rest) != 1 ||
		EVP_CIPHER_CTX_ctrl(seal->closing, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG,
			room + SEAL_HEAD + plain.len) != 1)
		return -ENOMEM;
	buf_commit(out, whole);
	return 0;
}

int seal_open(struct seal *seal, struct slice blob, struct buf *out)
{
	const uint8_t *bytes = (const uint8_t *)blob.data;
	uint8_t tag[SEAL_TAG], *room;
	size_t inner;
	int len = 0, rest = 0;

	if (!seal_is(blob) || blob.len > INT_MAX)
		return -EBADMSG;
	inner = blob.len - SEAL_HEAD - SEAL_TAG;
	room = (uint8_t *)buf_reserve(out, inner + 1);
	if (!room)
		return -ENOMEM;
	memcpy(tag, bytes + SEAL_HEAD + inner, SEAL_TAG);
	if (EVP_DecryptInit_ex(seal->opening, NULL, NULL, NULL, bytes + 1) != 1 ||
		EVP_DecryptUpdate(seal->opening, room, &len, bytes + SEAL_HEAD, (int)inner) != 1 ||
		EVP_CIPHER_CTX_ctrl(seal->opening, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) != 1 ||
		EVP_DecryptFinal_ex(seal->opening, room + len, &rest) != 1) {
		OPENSSL_cleanse(room, inner);
		return -EBADMSG;
	}
	buf_commit(out, inner);
	return 0;
}
