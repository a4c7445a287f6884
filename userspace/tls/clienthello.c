// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/clienthello.h"

#include "tls/host_name.h"

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_HEADER = 5,
	RECORD_MAX = 16384,
	HANDSHAKE_CLIENT_HELLO = 1,
	HANDSHAKE_HEADER = 4,
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_SIGNATURE_ALGORITHMS = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_ECH = 0xfe0d,
	NAME_TYPE_HOST = 0,
	VERSION_TLS12 = 0x0303,
	ECDSA_SECP256R1_SHA256 = 0x0403,
	ECDSA_SECP384R1_SHA384 = 0x0503,
	ECDSA_SECP521R1_SHA512 = 0x0603,
};

/* Each take_ function moves the front of s, or returns false and leaves s as it was. */
static bool take_number(struct slice *s, size_t bytes, size_t *number)
{
	size_t value = 0;

	if (s->len < bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | (unsigned char)s->data[i];
	*s = slice_after(*s, bytes);
	*number = value;
	return true;
}

/* A vector of RFC 8446 section 3.4, whose length stands in its first bytes. */
static bool take_vector(struct slice *s, size_t length_bytes, struct slice *vector)
{
	struct slice rest = *s;
	size_t len;

	if (!take_number(&rest, length_bytes, &len) || rest.len < len)
		return false;
	*vector = slice_first(rest, len);
	*s = slice_after(rest, len);
	return true;
}

static bool read_server_name(struct slice body, struct clienthello *hello)
{
	struct slice list, name;
	size_t type;

	if (hello->has_sni || !take_vector(&body, 2, &list) || body.len || !list.len)
		return false;
	/* No other type was ever defined, and a second name of one type is forbidden. */
	if (!take_number(&list, 1, &type) || type != NAME_TYPE_HOST ||
		!take_vector(&list, 2, &name) || !name.len || list.len)
		return false;
	hello->has_sni = true;
	hello->sni_valid = host_name_read(name, hello->sni);
	if (name.len > sizeof(hello->named))
		name = slice_after(name, name.len - sizeof(hello->named));
	for (size_t i = 0; i < name.len; i++)
		hello->named[i] = (char)(name.data[i] >= 'A' && name.data[i] <= 'Z'
						 ? name.data[i] - 'A' + 'a'
						 : name.data[i]);
	hello->named_len = name.len;
	return true;
}

static bool read_alpn(struct slice body, struct clienthello *hello)
{
	struct slice list, name;

	if (hello->alpn_present || !take_vector(&body, 2, &list) || body.len || !list.len)
		return false;
	hello->alpn_present = true;
	while (list.len) {
		if (!take_vector(&list, 1, &name) || !name.len)
			return false;
		if (slice_equal(name, SLICE("http/1.1")))
			hello->alpn_h1 = true;
		else if (slice_equal(name, SLICE("h2")))
			hello->alpn_h2 = true;
	}
	return true;
}

static bool read_versions(struct slice body, struct clienthello *hello)
{
	struct slice list;
	size_t version;

	if (!take_vector(&body, 1, &list) || body.len || !list.len || list.len % 2)
		return false;
	hello->version_max = 0;
	while (take_number(&list, 2, &version))
		/* GREASE (RFC 8701) has other high bytes, 0x7f… were drafts of TLS 1.3. */
		if (version >> 8 == 3 && version > hello->version_max)
			hello->version_max = (uint16_t)version;
	return true;
}

/* RFC 8446 section 4.2.3. Under TLS 1.2 the name of a curve in it means nothing but the digest. */
static bool read_signatures(struct slice body, struct clienthello *hello)
{
	struct slice list;
	size_t algorithm;

	if (!take_vector(&body, 2, &list) || body.len || !list.len || list.len % 2)
		return false;
	hello->ecdsa = false;
	while (take_number(&list, 2, &algorithm))
		if (algorithm == ECDSA_SECP256R1_SHA256 ||
			(hello->version_max <= VERSION_TLS12 &&
				(algorithm == ECDSA_SECP384R1_SHA384 ||
					algorithm == ECDSA_SECP521R1_SHA512)))
			hello->ecdsa = true;
	return true;
}

/* ECDHE-ECDSA with AEAD (RFC 5289, RFC 7905): those that we know. */
static bool has_ecdsa_suite(struct slice suites)
{
	size_t suite;

	while (take_number(&suites, 2, &suite))
		if (suite == 0xc02b || suite == 0xc02c || suite == 0xcca9)
			return true;
	return false;
}

static bool read_extensions(struct slice extensions, struct clienthello *hello)
{
	struct slice body, signatures = SLICE_NONE;
	size_t type;
	bool versions = false, has_signatures = false;

	while (extensions.len) {
		bool fine = true;

		if (!take_number(&extensions, 2, &type) || !take_vector(&extensions, 2, &body))
			return false;
		if (type == EXTENSION_SERVER_NAME)
			fine = read_server_name(body, hello);
		else if (type == EXTENSION_ALPN)
			fine = read_alpn(body, hello);
		else if (type == EXTENSION_SUPPORTED_VERSIONS)
			fine = !versions && (versions = read_versions(body, hello));
		else if (type == EXTENSION_ECH)
			hello->has_ech = true;
		else if (type == EXTENSION_SIGNATURE_ALGORITHMS) {
			fine = !has_signatures;
			has_signatures = true;
			signatures = body;
		}
		if (!fine)
			return false;
	}
	/* They are judged when the versions are known. */
	return !has_signatures || read_signatures(signatures, hello);
}

static bool read_hello(struct slice s, struct clienthello *hello)
{
	struct slice session, suites, compression, extensions;
	size_t version;

	*hello = (struct clienthello){0};
	if (!take_number(&s, 2, &version) || version >> 8 != 3 || s.len < 32)
		return false;
	s = slice_after(s, 32); /* random */
	if (!take_vector(&s, 1, &session) || session.len > 32 || !take_vector(&s, 2, &suites) ||
		!suites.len || suites.len % 2 || !take_vector(&s, 1, &compression) ||
		!compression.len)
		return false;
	/* Without the extension TLS 1.2 is the highest that can be meant (RFC 8446 4.2.1). */
	hello->version_max = (uint16_t)(version < VERSION_TLS12 ? version : VERSION_TLS12);
	hello->ecdsa = true;
	if (s.len && (!take_vector(&s, 2, &extensions) || s.len ||
			     !read_extensions(extensions, hello)))
		return false;
	/* Of TLS 1.3 the suites say nothing about the certificate. */
	if (hello->version_max <= VERSION_TLS12 && !has_ecdsa_suite(suites))
		hello->ecdsa = false;
	return true;
}

enum clienthello_result clienthello_parse(struct slice bytes, struct clienthello *hello)
{
	char assembled[CLIENTHELLO_MAX];
	struct slice rest = slice_first(bytes, CLIENTHELLO_MAX), message;
	size_t have = 0, need = HANDSHAKE_HEADER;

	while (have < need) {
		struct slice fragment;
		size_t type = RECORD_HANDSHAKE, version = 3, len = 1;

		/* What is there of the header is judged at once: a client that does not speak TLS
		 * may be waiting for the server after its first two bytes. */
		if (take_number(&rest, 1, &type) && type != RECORD_HANDSHAKE)
			return have ? CLIENTHELLO_MALFORMED : CLIENTHELLO_NOT_TLS;
		if (take_number(&rest, 1, &version) && version != 3)
			return have ? CLIENTHELLO_MALFORMED : CLIENTHELLO_NOT_TLS;
		if (!take_number(&rest, 1, &version) || !take_number(&rest, 2, &len))
			goto more;
		if (!len || len > RECORD_MAX)
			return CLIENTHELLO_MALFORMED;
		fragment = slice_first(rest, len);
		rest = slice_after(rest, len);
		if (fragment.len)
			memcpy(assembled + have, fragment.data, fragment.len);
		have += fragment.len;
		if (have && assembled[0] != HANDSHAKE_CLIENT_HELLO)
			return CLIENTHELLO_MALFORMED;
		if (have >= HANDSHAKE_HEADER)
			need = HANDSHAKE_HEADER + ((size_t)(unsigned char)assembled[1] << 16 |
							  (size_t)(unsigned char)assembled[2] << 8 |
							  (size_t)(unsigned char)assembled[3]);
		if (need > CLIENTHELLO_MAX - RECORD_HEADER)
			return CLIENTHELLO_TOO_LONG;
		/* No second message can follow in the record before the server answered. */
		if (have >= HANDSHAKE_HEADER && have - fragment.len + len > need)
			return CLIENTHELLO_MALFORMED;
		if (have < need && fragment.len < len)
			goto more;
	}
	message = slice_of(assembled + HANDSHAKE_HEADER, need - HANDSHAKE_HEADER);
	return read_hello(message, hello) ? CLIENTHELLO_OK : CLIENTHELLO_MALFORMED;
more:
	return bytes.len >= CLIENTHELLO_MAX ? CLIENTHELLO_TOO_LONG : CLIENTHELLO_MORE;
}

enum clienthello_result clienthello_parse_handshake(struct slice bytes, struct clienthello *hello)
{
	struct slice rest = bytes, message;
	size_t type, len;

	if (!take_number(&rest, 1, &type))
		return CLIENTHELLO_MORE;
	if (type != HANDSHAKE_CLIENT_HELLO)
		return CLIENTHELLO_MALFORMED;
	if (!take_number(&rest, 3, &len))
		return CLIENTHELLO_MORE;
	if (HANDSHAKE_HEADER + len > CLIENTHELLO_MAX - RECORD_HEADER)
		return CLIENTHELLO_TOO_LONG;
	if (rest.len < len)
		return CLIENTHELLO_MORE;
	message = slice_first(rest, len);
	/* Nothing may follow before the server answered. */
	if (rest.len > len || !read_hello(message, hello))
		return CLIENTHELLO_MALFORMED;
	return CLIENTHELLO_OK;
}
