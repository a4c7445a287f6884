/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the keeper says to a worker, and to the keeper that comes after it, over a socket of their
 * own (base/ipc.h). Credentials are named by their place in config.credentials: both run by the same
 * configuration. */
#ifndef BACKEND_CREDENTIAL_MESSAGE_H
#define BACKEND_CREDENTIAL_MESSAGE_H

#include <stdint.h>

/* A value, or the reason why there is none, has at most so many bytes. */
#define CREDENTIAL_TEXT_MAX 32768

enum credential_message_type {
	/* keeper → worker: struct credential_head, then the value, or the reason. */
	CREDENTIAL_TELL = 1,
	/* keeper → worker: all that is known now was told, though it be that there is none. */
	CREDENTIAL_ALL_TOLD,
	/* keeper → the keeper that comes after it: keeper/heritage.c. */
	CREDENTIAL_HERITAGE,
	/* worker → keeper: struct credential_refusal. The service does not take this value. */
	CREDENTIAL_REFUSED,
};

struct credential_head {
	uint32_t index;
	uint32_t version;    /* of the value; another value has another one. 0: there is none */
	uint64_t expires_ns; /* CLOCK_MONOTONIC; 0: never */
};

struct credential_refusal {
	uint32_t index;
	uint32_t version;
};

#endif
