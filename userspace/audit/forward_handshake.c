// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/forward_handshake.h"

#include <errno.h>
#include <msgpack.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

#define DIGEST_SIZE 64 /* of SHA-512 */

struct handshake_digest {
	char text[2 * DIGEST_SIZE + 1];
};

static void handshake_hex(const unsigned char *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

int forward_nonce_make(struct forward_nonce *nonce)
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -EIO;
	handshake_hex(bytes, sizeof(bytes), nonce->text);
	return 0;
}

/* hex(sha512(salt + host + nonce + key)); false without memory. */
static bool handshake_digest(struct slice salt, struct slice host, struct slice nonce,
	struct slice key, struct handshake_digest *digest)
{
	const struct slice parts[] = {salt, host, nonce, key};
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char bytes[DIGEST_SIZE];
	unsigned len = 0;
	bool made = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && made; i++)
		made = EVP_DigestUpdate(context, parts[i].data, parts[i].len) == 1;
	made = made && EVP_DigestFinal_ex(context, bytes, &len) == 1 && len == DIGEST_SIZE;
	EVP_MD_CTX_free(context);
	if (made)
		handshake_hex(bytes, len, digest->text);
	return made;
}

static bool handshake_equal(const struct handshake_digest *digest, struct slice given)
{
	return given.len == sizeof(digest->text) - 1 &&
	       CRYPTO_memcmp(digest->text, given.data, given.len) == 0;
}

static bool handshake_text(const msgpack_object *object, struct slice *text)
{
	*text = SLICE_NONE;
	if (object->type == MSGPACK_OBJECT_STR)
		*text = slice_of(object->via.str.ptr, object->via.str.size);
	else if (object->type == MSGPACK_OBJECT_BIN)
		*text = slice_of(object->via.bin.ptr, object->via.bin.size);
	else
		return false;
	return true;
}

/* An array of at least n items, the first of which is name. Texts lie in the message, not in what
 * the caller destroys. */
static bool handshake_unpack(
	msgpack_unpacked *unpacked, struct slice message, struct slice name, uint32_t n)
{
	size_t offset = 0;
	struct slice first;

	msgpack_unpacked_init(unpacked);
	return message.len <= FORWARD_HANDSHAKE_MAX &&
	       msgpack_unpack_next(unpacked, message.data, message.len, &offset) ==
		       MSGPACK_UNPACK_SUCCESS &&
	       unpacked->data.type == MSGPACK_OBJECT_ARRAY && unpacked->data.via.array.size >= n &&
	       handshake_text(&unpacked->data.via.array.ptr[0], &first) && slice_equal(first, name);
}

static int handshake_append(void *data, const char *bytes, size_t len)
{
	return buf_append(data, bytes, len);
}

static int handshake_put(msgpack_packer *packer, struct slice text)
{
	int error = msgpack_pack_str(packer, text.len);

	return error || !text.len ? error : msgpack_pack_str_body(packer, text.data, text.len);
}

/* ---- the sender ---- */

bool forward_hello_read(struct slice message, struct slice *nonce)
{
	msgpack_unpacked unpacked;
	const msgpack_object *options;
	bool found = false;

	if (handshake_unpack(&unpacked, message, SLICE("HELO"), 2)) {
		options = &unpacked.data.via.array.ptr[1];
		for (uint32_t i = 0;
			options->type == MSGPACK_OBJECT_MAP && i < options->via.map.size; i++) {
			struct slice key;

			if (handshake_text(&options->via.map.ptr[i].key, &key) &&
				slice_equal(key, SLICE("nonce")))
				found = handshake_text(&options->via.map.ptr[i].val, nonce);
		}
	}
	msgpack_unpacked_destroy(&unpacked);
	return found;
}

int forward_ping_write(struct buf *out, struct slice host, const struct forward_nonce *salt,
	struct slice nonce, struct slice key)
{
	const struct slice salted = slice_of_string(salt->text);
	struct handshake_digest digest;
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, handshake_append);
	if (!handshake_digest(salted, host, nonce, key, &digest) ||
		msgpack_pack_array(&packer, 6) < 0 || handshake_put(&packer, SLICE("PING")) < 0 ||
		handshake_put(&packer, host) < 0 || handshake_put(&packer, salted) < 0 ||
		handshake_put(&packer, slice_of_string(digest.text)) < 0 ||
		handshake_put(&packer, SLICE("")) < 0 || handshake_put(&packer, SLICE("")) < 0)
		return -ENOMEM;
	return 0;
}

enum forward_pong forward_pong_read(struct slice message, struct slice host,
	const struct forward_nonce *salt, struct slice nonce, struct slice key)
{
	enum forward_pong result = FORWARD_PONG_BAD;
	struct handshake_digest digest;
	const msgpack_object *items;
	struct slice receiver, given;
	msgpack_unpacked unpacked;

	if (!handshake_unpack(&unpacked, message, SLICE("PONG"), 5))
		goto out;
	items = unpacked.data.via.array.ptr;
	if (items[1].type != MSGPACK_OBJECT_BOOLEAN)
		goto out;
	if (!items[1].via.boolean)
		result = FORWARD_PONG_REFUSED;
	/* A receiver of our own name could be our own PING, sent back. */
	else if (handshake_text(&items[3], &receiver) && handshake_text(&items[4], &given) &&
		 !slice_equal(receiver, host) &&
		 handshake_digest(slice_of_string(salt->text), receiver, nonce, key, &digest) &&
		 handshake_equal(&digest, given))
		result = FORWARD_PONG_OK;
out:
	msgpack_unpacked_destroy(&unpacked);
	return result;
}

/* ---- the receiver ---- */

int forward_hello_write(struct buf *out, const struct forward_nonce *nonce)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, handshake_append);
	if (msgpack_pack_array(&packer, 2) < 0 || handshake_put(&packer, SLICE("HELO")) < 0 ||
		msgpack_pack_map(&packer, 3) < 0 || handshake_put(&packer, SLICE("nonce")) < 0 ||
		handshake_put(&packer, slice_of_string(nonce->text)) < 0 ||
		handshake_put(&packer, SLICE("auth")) < 0 ||
		handshake_put(&packer, SLICE("")) < 0 ||
		handshake_put(&packer, SLICE("keepalive")) < 0 || msgpack_pack_true(&packer) < 0)
		return -ENOMEM;
	return 0;
}

bool forward_ping_read(struct slice message, const struct forward_nonce *nonce, struct slice key,
	struct forward_ping *ping)
{
	struct handshake_digest digest;
	msgpack_unpacked unpacked;
	struct slice given;
	bool read = false;

	*ping = (struct forward_ping){0};
	if (handshake_unpack(&unpacked, message, SLICE("PING"), 4)) {
		const msgpack_object *items = unpacked.data.via.array.ptr;

		read = handshake_text(&items[1], &ping->host) &&
		       handshake_text(&items[2], &ping->salt) && handshake_text(&items[3], &given);
		ping->key_right = read &&
				  handshake_digest(ping->salt, ping->host,
					  slice_of_string(nonce->text), key, &digest) &&
				  handshake_equal(&digest, given);
	}
	msgpack_unpacked_destroy(&unpacked);
	return read;
}

int forward_pong_write(struct buf *out, const struct forward_ping *ping, struct slice host,
	const struct forward_nonce *nonce, struct slice key)
{
	struct handshake_digest digest = {""};
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, handshake_append);
	/* Who has not the key is given no digest made with it. */
	if ((ping->key_right && !handshake_digest(ping->salt, host, slice_of_string(nonce->text),
					key, &digest)) ||
		msgpack_pack_array(&packer, 5) < 0 || handshake_put(&packer, SLICE("PONG")) < 0 ||
		(ping->key_right ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer)) < 0 ||
		handshake_put(&packer, ping->key_right ? SLICE("") : SLICE("shared key mismatch")) <
			0 ||
		handshake_put(&packer, ping->key_right ? host : SLICE("")) < 0 ||
		handshake_put(&packer, slice_of_string(digest.text)) < 0)
		return -ENOMEM;
	return 0;
}
