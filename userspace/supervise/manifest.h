/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a parent hands to the program that takes its place by execve(2): a list of records in a
 * sealed memfd, about descriptors and processes that stay open and alive meanwhile. The two
 * programs may be of different versions, so the whole of it is checked when it is read. */
#ifndef SUPERVISE_MANIFEST_H
#define SUPERVISE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

/* To be raised when a record changes, and also when something that a record only points at does:
 * the messages of a control socket (role.h), or between a worker and the signer (leaf_message.h) or
 * the keeper (credential_message.h), rings, ticket keys. */
#define MANIFEST_VERSION 5
/* The environment variable that names the memfd for the next program, which removes it. */
#define MANIFEST_VARIABLE "SALLYPORT_HANDOVER"
#define MANIFEST_FDS	  4

/* Which descriptors, in their order, and what else a record has. */
enum manifest_kind {
	MANIFEST_PARENT = 1,	 /* once, the first: lock, counters, ticket keys */
	MANIFEST_COUNTERS_OLDER, /* a file of counters that older processes still count in */
	MANIFEST_LISTENER,	 /* by worker: IPv4, IPv6 or none */
	MANIFEST_GATEWAY,	 /* an address that the gateway listens at */
	MANIFEST_RING,		 /* ring, wake_shipper, wake_worker, life; number */
	/* Text of the configuration, CA certificate, policy, issued keys; draining: none of them. */
	MANIFEST_GENERATION,
	/* Of the generation before them: */
	MANIFEST_PROCESS, /* control socket; role, index, number, pid, times, ready, draining */
	MANIFEST_KINDS
};

struct manifest_record {
	uint32_t kind;	/* enum manifest_kind */
	uint32_t role;	/* enum role_kind */
	uint32_t index; /* of the worker */
	uint32_t number;
	int32_t pid;
	uint32_t ready, draining;  /* 0 or 1 */
	int32_t fds[MANIFEST_FDS]; /* -1: none */
	uint32_t relieved;	   /* 0 or 1; of a generation. Programs before it refuse 1 */
	uint64_t started_ns;
	uint64_t overdue_ns; /* CLOCK_MONOTONIC; 0: no deadline */
};

struct manifest {
	char epoch[17];
	uint32_t next_number;
	struct manifest_record *records;
	size_t n, room;
	bool failed; /* no memory for a record that was added */
};

/* For messages. kind is one of the list. */
const char *manifest_kind_name(uint32_t kind);

/* Appends a record, its fds as they are. */
void manifest_add(struct manifest *manifest, const struct manifest_record *record);
void manifest_free(struct manifest *manifest);

/* Writes it to a new memfd, sealed and close-on-exec, the caller's. Or negative errno with why. */
int manifest_seal(const struct manifest *manifest, struct why *why);
/* Reads what manifest_seal wrote. Refused with -EINVAL: another version, and whatever does not fit
 * together: sizes, order, numbers, a descriptor named twice. On success free the manifest. */
int manifest_decode(struct slice bytes, struct manifest *manifest, struct why *why);
/* The same from a descriptor, which must be such a memfd and root's; it stays the caller's. */
int manifest_read(int fd, struct manifest *manifest, struct why *why);

/* Whether each descriptor is what its record says. 0, or -EINVAL with why. */
int manifest_check_fds(const struct manifest *manifest, struct why *why);
/* Whether the descriptors outlive the next execve(2). */
void manifest_inherit(const struct manifest *manifest, bool inherit);

#endif
