/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One audit event: a plain struct that borrows all its text. {0} is an event with every field
 * absent; absent fields are left out of the record. The fields are listed in schema.h. */
#ifndef AUDIT_EVENT_H
#define AUDIT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/schema.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/slice.h"

struct event_number {
	uint64_t value;
	bool present;
};

struct event_real {
	double value;
	bool present;
};

enum event_flag { EVENT_UNSET, EVENT_NO, EVENT_YES };

#define EVENT_TYPE_TEXT	   struct slice
#define EVENT_TYPE_URL	   struct slice
#define EVENT_TYPE_CONTENT struct slice
#define EVENT_TYPE_NUMBER  struct event_number
#define EVENT_TYPE_REAL	   struct event_real
#define EVENT_TYPE_FLAG	   enum event_flag
#define EVENT_TYPE_ADDRESS struct address
#define EVENT_TYPE_PORT	   uint16_t

struct event {
	uint64_t time_ns; /* CLOCK_REALTIME of the request's first byte */
#define EVENT_MEMBER(KIND, member, name) EVENT_TYPE_##KIND member;
	SCHEMA_FIELDS(EVENT_MEMBER)
#undef EVENT_MEMBER
	/* Not recorded: what is replaced by "[redacted]" wherever it stands in a text. NULL entries
	 * are passed over. */
	struct secret *const *secrets;
	size_t nsecrets;
};

/* Where the members are, by enum schema_id. */
extern const size_t event_offsets[SCHEMA_COUNT];

static inline struct event_number event_number(uint64_t value)
{
	return (struct event_number){value, true};
}

static inline struct event_real event_real(double value)
{
	return (struct event_real){value, true};
}

static inline enum event_flag event_flag(bool value)
{
	return value ? EVENT_YES : EVENT_NO;
}

/* The longest record that event_encode makes: what the ring and the spool must take. */
#define EVENT_RECORD_MAX ((16u << 20) - 1)

/* Appends the event's record, as it goes through ring and spool: 8 bytes of EventTime (seconds and
 * nanoseconds, big-endian u32 each; Fluentd Forward v1), then one flat msgpack map, first
 * "schema.version", then the present fields in the schema's order. All text is made valid UTF-8
 * (U+FFFD for what is not) and credentials in it, event->secrets among them, are replaced by "[redacted]", always. Text that
 * is longer than its kind allows is cut; for CONTENT the truncation flag is then set.
 * epoch, stream and sequence must be present. 0, -EINVAL when they are not, or -ENOMEM; on failure
 * nothing is appended. */
int event_encode(const struct event *event, struct buf *record);

#endif
