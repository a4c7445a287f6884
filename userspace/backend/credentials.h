/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker has of the keeper's credentials: the latest value of each, in memory that is wiped
 * when it is given back. Knows no socket: the messages are handed in. */
#ifndef BACKEND_CREDENTIALS_H
#define BACKEND_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/slice.h"

struct credentials;

/* Room for n credentials, none of which is known. NULL without memory. */
struct credentials *credentials_new(size_t n);
void credentials_free(struct credentials *credentials);

/* Takes the body of a CREDENTIAL_TELL. That there is none does not replace a value: the one that was
 * good last stays. 0; 1 when the value takes the place of another one, of the credential *index;
 * -EBADMSG (not a message of the keeper's), -ENOMEM (the value before stays). */
int credentials_take(struct credentials *credentials, struct slice body, size_t *index);

/* The value of now, or NULL and the reason, for a person, valid until the next message. now_ns:
 * CLOCK_MONOTONIC. Who needs the value beyond that shares it. */
struct secret *credentials_value(const struct credentials *credentials, size_t index,
	uint64_t now_ns, const char **why);

/* The version of the latest value, if that is the one that is asked for; 0: it is not. */
uint32_t credentials_version(
	const struct credentials *credentials, size_t index, const struct secret *value);

/* All values that may still stand in a text, those before the latest too; NULL between them. The
 * list stays where it is. */
struct secret *const *credentials_all(const struct credentials *credentials, size_t *n);

#endif
