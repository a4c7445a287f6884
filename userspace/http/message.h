/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One direction of one HTTP message, whatever the wire: a request or a response has this shape on
 * both legs. Whoever has a part of the message hands it to whoever takes it. The order is a head,
 * any number of pieces of the body, perhaps trailers; the message ends with the part that says fin,
 * and trailers always do. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "http/head.h"

/* Why the rest of a message never comes. */
enum message_fault_kind {
	MESSAGE_CLOSED,	   /* the sender ended the connection in an orderly way */
	MESSAGE_LOST,	   /* the connection failed */
	MESSAGE_MALFORMED, /* the sender does not speak HTTP as the wire's RFC has it */
};

struct message_fault {
	enum message_fault_kind kind;
	int error;	  /* LOST: a positive errno; EPROTO: TLS */
	const char *name; /* MALFORMED: for counters and events; never freed */
	const char *text; /* MALFORMED: for a person; never freed */
	int status;	  /* MALFORMED: of the answer to a request */
};

/* What takes a message. Slices are valid during the call. Each call that returns an int returns 0,
 * or a negative errno: then the taker wants no more of this message, and the giver, which may be
 * gone already, must not go on. */
struct message_ops {
	int (*head)(void *to, const struct head *head, bool fin);
	/* The span is empty only with fin. */
	int (*body)(void *to, struct slice span, bool fin);
	int (*trailers)(void *to, const struct header *fields, size_t n);
	/* Bytes that may be handed over now; 0: stop. A level: whoever takes says when it rises from
	 * 0, and may be asked at any time. More than that is never refused. */
	size_t (*room)(const void *to);
	/* The message has ended without being whole. */
	void (*abort)(void *to, const struct message_fault *fault);
};

#endif
