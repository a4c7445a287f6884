/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Credentials in text: where they are. What replaces them is REDACT_MARK. Nothing that is known
 * to be a credential goes into an event, whatever the configuration says. */
#ifndef AUDIT_REDACT_H
#define AUDIT_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

#define REDACT_MARK	   SLICE("[redacted]")
#define REDACT_MARK_QUOTED SLICE("\"[redacted]\"")

/* Where the text is JSON it is JSON with the mark in it. */
struct redact_span {
	size_t begin, end; /* of the text to be replaced by REDACT_MARK; empty: none */
	bool bare;	   /* a number or word of JSON: REDACT_MARK_QUOTED replaces it */
};

/* Looks at the anchor text.data[at]: the credential that it belongs to or labels, if any. Anchors,
 * the only places worth a call, are (without case, but for J) the k of "k-", "ke", the J of "eyJ",
 * the z of "za" and the b of "be". Reads no byte before from (what was already written or
 * replaced). Recognised, without case in the labels:
 *   sk-…               OpenAI's keys
 *   eyJ….…             JSON Web Tokens (RFC 7519)
 *   api-key, apikey, subscription-key, access-token …, with ":" or "=" and a value; also quoted,
 *                      also in JSON inside a JSON string
 *   authorization      with ":" or "=", an optional scheme, and a value
 *   Bearer …           RFC 6750
 * A value that runs to the end of the text counts however short it is: it may have been cut. */
struct redact_span redact_at(struct slice text, size_t at, size_t from);

/* Appends a URL, or a path, with the values of the credential parameters of its query replaced
 * (credential_parameter) and without its userinfo. 0, or -ENOMEM. The rest of the credentials is
 * redact_at()'s. */
int redact_url(struct slice url, struct buf *out);

/* True when a header's value is a credential (credential_field), or when the name is one of the n configured ones (config.audit.redact_headers). Such a value is never recorded. */
bool redact_header(struct slice name, char *const *configured, size_t n);

#endif
