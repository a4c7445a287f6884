/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connections that are being looked at: what was seen of each, bounded in number and bytes. */
#ifndef SCOUT_PEEK_H
#define SCOUT_PEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/list.h"
#include "scout/quic.h"
#include "scout/segments.h"

struct peek_key {
	struct address source, destination;
	uint16_t source_port, destination_port;
	uint32_t protocol;
};

/* Of a stream of DNS messages; offsets as in segments. */
struct peek_stream {
	size_t whole;  /* up to here the messages were whole, and read */
	size_t passed; /* up to here the client may have the bytes */
	bool edited;   /* some of what is whole was edited … */
	bool forgot;   /* … or what is no longer kept */
};

struct peek {
	struct peek_key key;
	struct list age;    /* the table's: oldest use first */
	struct peek *chain; /* the table's */
	struct list peer;   /* the table's: those of the same source, oldest use first */
	size_t charged;	    /* the table's: bytes counted for it */
	uint64_t start_ns, used_ns;
	uint32_t base;		  /* TCP: sequence number of offset 0 … */
	bool begun;		  /* … and it was seen from there on */
	bool undecided;		  /* a connection that has yet to say what it wants */
	bool done;		  /* decided: what still comes passes … */
	bool refused;		  /* … or not */
	uint32_t packets;	  /* with a part of what is not decided yet */
	struct segments segments; /* TCP */
	struct peek_stream stream;
	struct quic quic; /* UDP */
};

struct peek_table;

/* forget is told of those that are undecided and have to make room for others: they must not go on.
 */
struct peek_table *peek_table_new(
	void (*forget)(void *context, const struct peek *peek), void *context);
/* The one of this key, or NULL. One that was not used for PEEK_IDLE_NS is as if it were not, but
 * for one that is undecided: nothing is to be had by waiting. */
struct peek *peek_find(struct peek_table *table, const struct peek_key *key, uint64_t now_ns);
/* Begins one, which must not be there; the oldest makes room: of the same source when that has more
 * than its share, so that nobody can push out others. NULL: no memory. */
struct peek *peek_add(struct peek_table *table, const struct peek_key *key, uint64_t now_ns);
/* To be called after its segments grew: others that are older make room, likewise. */
void peek_charge(struct peek_table *table, struct peek *peek);
/* Nothing depends on it any more: it makes room before others. */
void peek_decided(struct peek_table *table, struct peek *peek, bool refused);
/* Nothing more is read of it; its bytes go. */
void peek_done(struct peek_table *table, struct peek *peek);
void peek_remove(struct peek_table *table, struct peek *peek);
void peek_table_free(struct peek_table *table);

#define PEEK_IDLE_NS (60ULL * 1000000000ULL)

#endif
