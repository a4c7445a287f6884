/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HTTP_METHOD_H
#define HTTP_METHOD_H

#include <stdbool.h>

#include "base/slice.h"

/* Whether it is one of the methods that are served: those of RFC 9110 and RFC 5789 but CONNECT, and
 * TRACE, whose answer would show the client the head as the origin got it, the service's key
 * included. */
bool method_known(struct slice method);

#endif
