/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Percent-encoding (RFC 3986 section 2.1). */
#ifndef HTTP_PERCENT_H
#define HTTP_PERCENT_H

#include "base/slice.h"

/* Takes the next character, decoded, off the front of a text that is not empty. A percent sign
 * without two digits behind it is itself. */
char percent_next(struct slice *text);

#endif
