/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads answers that are one JSON text. */
#ifndef OPENAI_RESPONSE_BODY_H
#define OPENAI_RESPONSE_BODY_H

#include "openai/response_reader.h"

/* Makes the reader one of such bodies. 0, or -ENOMEM. */
int response_body_init(struct response_reader *r);
/* The body has ended; closes what is kept of it. */
void response_body_end(struct response_reader *r);

#endif
