// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/der.h"

#include <stdbool.h>
#include <stdint.h>
#include <openssl/asn1.h>

#define DEPTH_MAX   24
#define LENGTH_MAX  4 /* bytes of a length: no certificate has 4 GiB */
#define CONSTRUCTED 0x20
#define UNIVERSAL   0x00
#define CLASS	    0xc0

struct der_value {
	unsigned tag; /* its first byte */
	const unsigned char *content;
	size_t len;
	size_t whole; /* bytes with tag and length */
};

/* The value at the start of the bytes (X.690 sections 8.1.2, 8.1.3 and 10.1). */
static const char *der_read(const unsigned char *at, size_t len, struct der_value *value)
{
	size_t used = 1, count;

	if (len < 2)
		return "it ends too early";
	value->tag = at[0];
	if ((at[0] & 0x1f) == 0x1f) {
		if ((at[1] & 0x7f) == 0 || at[1] < 0x1f)
			return "a tag is not as short as it can be";
		while (used < len && at[used++] & 0x80)
			;
		if (used >= len)
			return "it ends too early";
	}
	value->len = at[used++];
	if (value->len == 0x80)
		return "a length is indefinite";
	if (value->len > 0x80) {
		count = value->len & 0x7f;
		if (count > LENGTH_MAX || count > len - used)
			return "it ends too early";
		value->len = 0;
		for (size_t i = 0; i < count; i++)
			value->len = value->len << 8 | at[used + i];
		if (!at[used] || value->len < 0x80)
			return "a length is not as short as it can be";
		used += count;
	}
	if (value->len > len - used)
		return "it ends too early";
	value->content = at + used;
	value->whole = used + value->len;
	return NULL;
}

static const char *der_check_integer(const unsigned char *at, size_t len)
{
	if (!len ||
		(len > 1 && ((at[0] == 0x00 && at[1] < 0x80) || (at[0] == 0xff && at[1] >= 0x80))))
		return "a number is not as short as it can be";
	return NULL;
}

static const char *der_check_bits(const unsigned char *at, size_t len)
{
	if (!len || at[0] > 7 || (len == 1 && at[0]) ||
		(len > 1 && at[len - 1] & ((1U << at[0]) - 1)))
		return "the unused bits of a bit string are not zero";
	return NULL;
}

/* X.690 section 8.19. */
static const char *der_check_oid(const unsigned char *at, size_t len)
{
	if (!len || at[len - 1] & 0x80)
		return "an object identifier ends too early";
	for (size_t i = 0; i < len; i++)
		if (at[i] == 0x80 && (!i || !(at[i - 1] & 0x80)))
			return "a number of an object identifier is not as short as it can be";
	return NULL;
}

/* X.690 sections 11.7 and 11.8, without fractions of seconds, as RFC 5280 section 4.1.2.5 has it.
 */
static const char *der_check_time(const unsigned char *at, size_t len, size_t digits)
{
	bool good = len == digits + 1 && at[digits] == 'Z';

	for (size_t i = 0; good && i < digits; i++)
		good = at[i] >= '0' && at[i] <= '9';
	return good ? NULL : "a time is not in UTC with seconds";
}

/* X.680 section 41.4; "*" and "&" stand in many certificates, and all readers let them pass. */
static bool der_printable(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(" '()+,-./:=?*&", c));
}

static const char *der_check_text(unsigned tag, const unsigned char *at, size_t len)
{
	bool good = true;

	for (size_t i = 0; good && i < len;) {
		unsigned long character;
		int n = 1;

		if (tag == V_ASN1_UTF8STRING)
			n = UTF8_getc(at + i, len - i > 6 ? 6 : (int)(len - i), &character);
		else if (tag == V_ASN1_PRINTABLESTRING)
			good = der_printable(at[i]);
		else
			good = at[i] < 0x80;
		good = good && n > 0;
		i += good ? (size_t)n : 0;
	}
	return good ? NULL : "a text holds a character that its type does not have";
}

/* A value that holds no other values. */
static const char *der_check_primitive(const struct der_value *value)
{
	const unsigned char *at = value->content;

	switch (value->tag) {
	case V_ASN1_BOOLEAN:
		return value->len == 1 && (at[0] == 0 || at[0] == 0xff)
			       ? NULL
			       : "a boolean that is true is not the byte FF";
	case V_ASN1_INTEGER:
	case V_ASN1_ENUMERATED:
		return der_check_integer(at, value->len);
	case V_ASN1_BIT_STRING:
		return der_check_bits(at, value->len);
	case V_ASN1_NULL:
		return value->len ? "a null is not empty" : NULL;
	case V_ASN1_OBJECT:
		return der_check_oid(at, value->len);
	case V_ASN1_UTCTIME:
		return der_check_time(at, value->len, 12);
	case V_ASN1_GENERALIZEDTIME:
		return der_check_time(at, value->len, 14);
	case V_ASN1_UTF8STRING:
	case V_ASN1_PRINTABLESTRING:
	case V_ASN1_IA5STRING:
		return der_check_text(value->tag, at, value->len);
	case 0:
		return "there is a value without a type";
	case V_ASN1_SEQUENCE:
	case V_ASN1_SET:
		return "a sequence is written as if it held no values";
	default:
		return NULL;
	}
}

/* X.690 section 11.6: the elements of a SET OF stand in the order of their encodings. */
static bool der_ordered(const unsigned char *a, size_t alen, const unsigned char *b, size_t blen)
{
	int order = memcmp(a, b, alen < blen ? alen : blen);

	return order < 0 || (order == 0 && alen <= blen);
}

static const char *der_check(const unsigned char *at, size_t len, unsigned depth,
	const unsigned char **wrong, struct der_value *value)
{
	const unsigned char *last = NULL;
	size_t last_len = 0;
	const char *problem;

	*wrong = at;
	problem = depth < DEPTH_MAX ? der_read(at, len, value) : "it is nested too deeply";
	if (problem)
		return problem;
	if (!(value->tag & CONSTRUCTED))
		return der_check_primitive(value);
	if ((value->tag & CLASS) == UNIVERSAL && value->tag != (CONSTRUCTED | V_ASN1_SEQUENCE) &&
		value->tag != (CONSTRUCTED | V_ASN1_SET))
		return "a string is cut into pieces";
	for (size_t done = 0; done < value->len;) {
		const unsigned char *element = value->content + done;
		struct der_value inner;

		problem = der_check(element, value->len - done, depth + 1, wrong, &inner);
		if (problem)
			return problem;
		if (value->tag == (CONSTRUCTED | V_ASN1_SET) && last &&
			!der_ordered(last, last_len, element, inner.whole)) {
			*wrong = at;
			return "the elements of a set are not in their order";
		}
		last = element;
		last_len = inner.whole;
		done += inner.whole;
	}
	return NULL;
}

const char *der_problem(struct slice bytes, size_t *offset)
{
	const unsigned char *start = (const unsigned char *)bytes.data, *wrong = start;
	struct der_value value;
	const char *problem = der_check(start, bytes.len, 0, &wrong, &value);

	if (!problem && value.whole != bytes.len) {
		wrong = start + value.whole;
		problem = "bytes follow after its end";
	}
	*offset = problem && bytes.len ? (size_t)(wrong - start) : 0;
	return problem;
}
