// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/quic.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum {
	FORM_LONG = 0x80,
	FIXED_BIT = 0x40,
	CONNECTION_ID_MAX = 20,
	DATAGRAM_MAX = 65536, /* honest ones are shorter than a packet (RFC 9000 section 14.1) */
	KEY = 16,
	IV = 12,
	TAG = 16,
	SAMPLE = 16,
	SECRET = 32,
	FRAME_PADDING = 0x00,
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_ACK_ECN = 0x03,
	FRAME_CRYPTO = 0x06,
	FRAME_CLOSE = 0x1c,
};

static const struct version {
	uint32_t number;
	uint8_t initial; /* the type bits of an Initial */
	uint8_t salt[20];
	const char *key, *iv, *hp; /* labels */
} versions[] = {
	/* RFC 9001 section 5.2 */
	{0x00000001, 0,
		{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
			0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		"quic key", "quic iv", "quic hp"},
	/* RFC 9369 section 3.3 */
	{0x6b3343cf, 1,
		{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
			0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		"quicv2 key", "quicv2 iv", "quicv2 hp"},
};

struct keys {
	uint8_t key[KEY], iv[IV], hp[KEY];
};

/* One long header packet of a datagram. */
struct initial {
	struct slice bytes; /* from its first byte to its end */
	size_t number;	    /* offset of the packet number */
	struct slice id;    /* destination connection ID */
};

static bool take(struct slice *s, size_t n, struct slice *out)
{
	if (s->len < n)
		return false;
	*out = slice_first(*s, n);
	*s = slice_after(*s, n);
	return true;
}

/* RFC 9000 section 16. */
static bool take_varint(struct slice *s, uint64_t *value)
{
	struct slice bytes;
	size_t n;

	if (!s->len)
		return false;
	n = (size_t)1 << ((uint8_t)s->data[0] >> 6);
	if (!take(s, n, &bytes))
		return false;
	*value = (uint8_t)bytes.data[0] & 0x3f;
	for (size_t i = 1; i < n; i++)
		*value = *value << 8 | (uint8_t)bytes.data[i];
	return true;
}

static bool hmac(const uint8_t *key, size_t nkey, const void *data, size_t len, uint8_t out[SECRET])
{
	unsigned size = SECRET;

	return HMAC(EVP_sha256(), key, (int)nkey, data, len, out, &size) != NULL;
}

/* HKDF-Expand-Label (RFC 8446 section 7.1), for what one block of SHA-256 is enough for. */
static bool expand(const uint8_t secret[SECRET], const char *label, uint8_t *out, size_t len)
{
	uint8_t info[64], block[SECRET];
	size_t n = strlen(label), at = 0;

	info[at++] = 0;
	info[at++] = (uint8_t)len;
	info[at++] = (uint8_t)(6 + n);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, n);
	at += 6 + n;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* the first block */
	if (!hmac(secret, SECRET, info, at, block))
		return false;
	memcpy(out, block, len);
	return true;
}

static bool keys_derive(const struct version *version, struct slice id, struct keys *keys)
{
	uint8_t initial[SECRET], client[SECRET];

	return hmac(version->salt, sizeof(version->salt), id.data, id.len, initial) &&
	       expand(initial, "client in", client, SECRET) &&
	       expand(client, version->key, keys->key, KEY) &&
	       expand(client, version->iv, keys->iv, IV) &&
	       expand(client, version->hp, keys->hp, KEY);
}

static bool mask_make(const uint8_t hp[KEY], const uint8_t *sample, uint8_t mask[SAMPLE])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n = 0;
	bool done = context &&
		    EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), NULL, hp, NULL) == 1 &&
		    EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
		    EVP_EncryptUpdate(context, mask, &n, sample, SAMPLE) == 1 && n == SAMPLE;

	EVP_CIPHER_CTX_free(context);
	return done;
}

static bool unseal(const struct keys *keys, const uint8_t iv[IV], const uint8_t *head, size_t nhead,
	const uint8_t *sealed, size_t len, uint8_t *plain)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t tag[TAG];
	int n = 0;
	bool done;

	memcpy(tag, sealed + len - TAG, TAG);
	done = context &&
	       EVP_DecryptInit_ex(context, EVP_aes_128_gcm(), NULL, keys->key, iv) == 1 &&
	       EVP_DecryptUpdate(context, NULL, &n, head, (int)nhead) == 1 &&
	       EVP_DecryptUpdate(context, plain, &n, sealed, (int)(len - TAG)) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
	       EVP_DecryptFinal_ex(context, plain + n, &n) == 1;
	EVP_CIPHER_CTX_free(context);
	return done;
}

/* Takes off the header's protection (RFC 9001 section 5.4) and opens the packet (5.3). Returns the
 * length of the frames, 0: does not open. */
static size_t packet_open(const struct version *version, const struct initial *initial,
	struct slice id, uint8_t *plain)
{
	const uint8_t *bytes = (const uint8_t *)initial->bytes.data;
	uint8_t head[DATAGRAM_MAX], mask[SAMPLE], iv[IV];
	size_t nhead, nnumber;
	struct keys keys;

	if (initial->bytes.len < initial->number + 4 + SAMPLE ||
		initial->number + 4 > sizeof(head) || !keys_derive(version, id, &keys) ||
		!mask_make(keys.hp, bytes + initial->number + 4, mask))
		return 0;
	memcpy(head, bytes, initial->number + 4);
	head[0] ^= mask[0] & 0x0f;
	nnumber = (head[0] & 3u) + 1;
	nhead = initial->number + nnumber;
	memcpy(iv, keys.iv, IV);
	for (size_t i = 0; i < nnumber; i++) {
		head[initial->number + i] ^= mask[1 + i];
		iv[IV - nnumber + i] ^= head[initial->number + i];
	}
	if (initial->bytes.len - nhead <= TAG ||
		!unseal(&keys, iv, head, nhead, bytes + nhead, initial->bytes.len - nhead, plain))
		return 0;
	return initial->bytes.len - nhead - TAG;
}

static bool skip_varints(struct slice *frames, uint64_t n)
{
	uint64_t value;

	while (n--)
		if (!take_varint(frames, &value))
			return false;
	return true;
}

static bool skip_ack(struct slice *frames, bool ecn)
{
	uint64_t ranges;

	return skip_varints(frames, 2) && take_varint(frames, &ranges) &&
	       ranges <= frames->len / 2 && skip_varints(frames, 1 + 2 * ranges + (ecn ? 3 : 0));
}

static bool skip_close(struct slice *frames)
{
	struct slice reason;
	uint64_t len;

	return skip_varints(frames, 2) && take_varint(frames, &len) && len <= frames->len &&
	       take(frames, (size_t)len, &reason);
}

static bool take_crypto(struct quic *quic, struct slice *frames)
{
	uint64_t offset, len;
	struct slice data;

	return take_varint(frames, &offset) && take_varint(frames, &len) && len <= frames->len &&
	       offset <= CLIENTHELLO_MAX && take(frames, (size_t)len, &data) &&
	       segments_add(&quic->crypto, (size_t)offset, data, CLIENTHELLO_MAX) == 0;
}

/* The frames that an Initial may have (RFC 9000 section 12.4). */
static bool frames_read(struct quic *quic, struct slice frames)
{
	while (frames.len) {
		uint8_t type = (uint8_t)frames.data[0];
		bool fine;

		frames = slice_after(frames, 1);
		switch (type) {
		case FRAME_PADDING:
		case FRAME_PING:
			fine = true;
			break;
		case FRAME_ACK:
		case FRAME_ACK_ECN:
			fine = skip_ack(&frames, type == FRAME_ACK_ECN);
			break;
		case FRAME_CRYPTO:
			fine = take_crypto(quic, &frames);
			break;
		case FRAME_CLOSE:
			fine = skip_close(&frames);
			break;
		default:
			fine = false;
		}
		if (!fine)
			return false;
	}
	return true;
}

/* The next packet of a datagram, if it has a long header (RFC 9000 section 17.2). */
static enum quic_result packet_take(
	struct slice *datagram, const struct version **version, struct initial *initial)
{
	struct slice rest = *datagram, part;
	uint32_t number = 0;
	uint64_t len;
	uint8_t first;

	if (!take(&rest, 1, &part) || ((first = (uint8_t)part.data[0]) & FORM_LONG) == 0 ||
		!take(&rest, 4, &part))
		return QUIC_NOT_INITIAL;
	for (int i = 0; i < 4; i++)
		number = number << 8 | (uint8_t)part.data[i];
	*version = NULL;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i].number == number)
			*version = &versions[i];
	if (!*version)
		return number && (first & FIXED_BIT) ? QUIC_VERSION : QUIC_NOT_INITIAL;
	if (!(first & FIXED_BIT) || (first >> 4 & 3) != (*version)->initial ||
		!take(&rest, 1, &part) || (uint8_t)part.data[0] > CONNECTION_ID_MAX ||
		!take(&rest, (uint8_t)part.data[0], &initial->id) || !take(&rest, 1, &part) ||
		(uint8_t)part.data[0] > CONNECTION_ID_MAX ||
		!take(&rest, (uint8_t)part.data[0], &part) || !take_varint(&rest, &len) ||
		len > rest.len || !take(&rest, (size_t)len, &part) || !take_varint(&rest, &len) ||
		len > rest.len)
		return QUIC_NOT_INITIAL;
	initial->number = (size_t)(rest.data - datagram->data);
	initial->bytes = slice_first(*datagram, initial->number + (size_t)len);
	*datagram = slice_after(*datagram, initial->bytes.len);
	return QUIC_MORE;
}

/* The client's later packets have the server's choice of an ID, and the keys of the first one. */
static enum quic_result packet_read(
	struct quic *quic, const struct version *version, const struct initial *initial)
{
	struct slice first = slice_of((const char *)quic->first, quic->nfirst);
	uint8_t plain[DATAGRAM_MAX];
	size_t len;

	if (initial->bytes.len > sizeof(plain))
		return QUIC_SEALED;
	len = packet_open(version, initial, initial->id, plain);
	/* A connection begins, the first one or another between the same ports. */
	if (len && (!quic->connections || !slice_equal(initial->id, first))) {
		segments_free(&quic->crypto);
		memcpy(quic->first, initial->id.data, initial->id.len);
		quic->nfirst = (uint8_t)initial->id.len;
		quic->connections++;
	}
	if (!len && quic->connections)
		len = packet_open(version, initial, first, plain);
	if (!len)
		return QUIC_SEALED;
	return frames_read(quic, slice_of((const char *)plain, len)) ? QUIC_MORE : QUIC_MALFORMED;
}

enum quic_result quic_read(struct quic *quic, struct slice datagram, struct clienthello *hello)
{
	enum quic_result result = QUIC_NOT_INITIAL, packet = QUIC_NOT_INITIAL;
	const struct version *version;
	struct initial initial;

	while (datagram.len && (packet = packet_take(&datagram, &version, &initial)) == QUIC_MORE) {
		packet = packet_read(quic, version, &initial);
		if (packet == QUIC_MALFORMED)
			return packet;
		if (result != QUIC_MORE)
			result = packet;
	}
	if (result == QUIC_NOT_INITIAL)
		return datagram.len ? packet : result;
	if (result != QUIC_MORE)
		return result;
	switch (clienthello_parse_handshake(segments_front(&quic->crypto), hello)) {
	case CLIENTHELLO_OK:
		return QUIC_HELLO;
	case CLIENTHELLO_MORE:
		return QUIC_MORE;
	default:
		return QUIC_MALFORMED;
	}
}
