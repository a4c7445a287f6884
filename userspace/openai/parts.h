/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a request has besides words: images, sound, files. Each is told by its kind, its type, its
 * size and its hash, whatever becomes of it in the record. Those in JSON are base64 (RFC 4648
 * section 4), as they are or as a data URL (RFC 2397). Memory does not grow with them. */
#ifndef OPENAI_PARTS_H
#define OPENAI_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define PARTS_MAX  40 /* that are told */
#define PARTS_HEX  65
#define PARTS_TYPE 64

/* A hash of bytes, as its owner has one: SHA-256. begin: NULL without memory; end gives it back and
 * writes it in hexadecimal digits, drop only gives it back. */
struct parts_digest {
	void *(*begin)(void);
	void (*add)(void *hash, struct slice bytes);
	void (*end)(void *hash, char hex[PARTS_HEX]);
	void (*drop)(void *hash);
};

struct parts {
	const struct parts_digest *digest; /* NULL: none is made */
	struct buf json;		   /* of each a "," and an object */
	unsigned n;
	/* of the one that is being read */
	enum { PARTS_NONE, PARTS_BEGINS, PARTS_BASE64, PARTS_BYTES } state;
	char begin[128]; /* of a data URL, up to its comma */
	size_t begun;
	char word[PARTS_TYPE]; /* the beginning of the string, which may be a type */
	size_t word_len;
	const char *kind;
	char type[PARTS_TYPE];
	uint64_t chars, bytes; /* in base64, and decoded */
	uint32_t bits;
	unsigned nbits, padding;
	bool url;
	void *hash;
};

void parts_free(struct parts *parts);
/* The next string belongs to another part: what its type is, is not known yet. */
void parts_next(struct parts *parts);
/* A piece of a string that may be data; kind: "image" …, where its type does not say it. */
void parts_string(struct parts *parts, const char *kind, struct slice words, bool first, bool last);
/* A file as it is. */
void parts_file_begin(struct parts *parts, struct slice type);
void parts_file(struct parts *parts, struct slice bytes);
void parts_file_end(struct parts *parts);
/* The JSON array of all; empty: there is none. Once. */
struct slice parts_end(struct parts *parts);

#endif
