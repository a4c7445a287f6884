/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout of a store: a directory with the file of a key and, of each day (UTC) on which events
 * happened, one SQLite file, DAY.db. Writers and readers are made from the table below.
 *
 *	event		a narrow row; id ascends in the order of storing, over all days; digest is keyed, of
 *			its time, its record and its content: who has not the key cannot change them
 *			link makes it one of the chain of its appliance (see chain.h)
 *	chain		where the chain of each appliance ends, and what it follows on an earlier day
 *	name		texts that recur (models, hosts …): rows hold their numbers
 *	block		pieces of content, each once: found by a keyed hash, packed
 *	dictionary	what records and blocks are packed with
 *	seal		the salt of the key with which records, blocks and dictionaries are encrypted, in a store
 *			that does so (see seal.h)
 *	hourly…, daily	sums of calls, for questions that need no rows; a file of before a table was gets
 *			it when it is opened for writing, and is asked by its rows until then
 *
 * and DAY.fts, the words of its blocks (see index.h). Beside the days: anchors.db (see anchor.h), and
 * access.db, who looked. */
#ifndef COLLECTOR_LAYOUT_H
#define COLLECTOR_LAYOUT_H

#include <stdint.h>
#include <stdio.h>

#define LAYOUT_VERSION	    2	/* 1: one file with wide rows */
#define LAYOUT_HASH	    16	/* bytes of a keyed hash (SipHash) */
#define LAYOUT_RECORD_MAX   (16u << 20)
#define LAYOUT_NS_PER_DAY   86400000000000ull
#define LAYOUT_NS_PER_HOUR  3600000000000ull
#define LAYOUT_NS_PER_S	    1000000000ull

/* N(column, field): the number of a name. I(column, field): an integer. Of an event that has the
 * field. A file of before a column was gets it when it is opened for writing, empty. Besides them the row has id, event_id, digest, time_ns, source (16 bytes), model,
 * conflict, link, record and content. */
#define LAYOUT_COLUMNS(N, I)                          \
	N(observer, observer)                         \
	N(epoch, epoch)                               \
	I(stream, stream)                             \
	I(sequence, sequence)                         \
	N(kind, kind)                                 \
	N(action, action)                             \
	N(outcome, outcome)                           \
	N(host, tls_server_name)                      \
	N(backend, backend_name)                      \
	N(operation, operation)                       \
	N(provider, provider)                         \
	N(request_model, request_model)               \
	I(status, status)                             \
	N(error_type, error_type)                     \
	I(input_tokens, input_tokens)                 \
	I(output_tokens, output_tokens)               \
	I(total_tokens, total_tokens)                 \
	N(usage_source, usage_source)                 \
	N(request_user, request_user)                 \
	I(duration_ns, timing_total)                  \
	I(first_byte_ns, timing_first_byte)           \
	N(subject, subject_name)                      \
	N(deployment, azure_deployment)               \
	N(tier, response_service_tier)                \
	N(rule, rule_name)                            \
	I(attempts, attempts)                         \
	/* end */

/* Numbers that these names have in every file: conditions of indexes need them. */
#define LAYOUT_KIND_EXCHANGE 1
#define LAYOUT_KIND_SUMMARY  2

/* Sums of what senders claim must not overflow. */
static inline int64_t layout_tokens(int64_t number)
{
	return number < 0 ? 0 : number > UINT32_MAX ? UINT32_MAX : number;
}

struct layout_day_name {
	char text[24];
};
/* "2026-01-31.db", of a day counted from 1970-01-01. */
struct layout_day_name layout_day_name(int32_t day);
/* "2026-01-31.fts", the file of its index. */
struct layout_day_name layout_index_name(int32_t day);
/* The day that a file name tells, or -1. */
int32_t layout_day_of(const char *name);

/* The days of which a directory has files, ascending; -ENOENT …; free(*days). */
int layout_days(const char *directory, int32_t **days, size_t *n);


#endif
