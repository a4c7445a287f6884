/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what is one JSON text: an answer, or an event of a stream that is too long to be parsed at
 * once. Of such an event the usage and the end are told, of its words only how many they are. */
#ifndef OPENAI_RESPONSE_BODY_H
#define OPENAI_RESPONSE_BODY_H

#include "openai/response_reader.h"

/* Makes the reader one of such bodies. 0, or -ENOMEM. */
int response_body_init(struct response_reader *r);
/* The body has ended; closes what is kept of it. */
void response_body_end(struct response_reader *r);

/* A long event begins, its data comes in pieces, it has ended: a set of enum response_event_flags.
 * Without memory it is not readable. */
void response_long_begin(struct response_reader *r);
void response_long_feed(struct response_reader *r, struct slice data);
unsigned response_long_end(struct response_reader *r);

#endif
