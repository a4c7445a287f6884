/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a message proves its sender with: the fields and the query parameters that are, or could be,
 * a credential. One list for what is never recorded and for what goes away beside another key. */
#ifndef HTTP_CREDENTIAL_H
#define HTTP_CREDENTIAL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* By its name, without case; "_" counts as "-", as behind CGI and its heirs. */
bool credential_field(struct slice name);
/* The same of a query parameter, after percent-decoding (RFC 3986 section 2.1). */
bool credential_parameter(struct slice name);
/* What a field's value carries in spite of its name: a key among the subprotocols that a browser
 * offers for a WebSocket. */
bool credential_value(struct slice name, struct slice value);

/* The first parameter of the query (or fragment) at the front of rest, which begins with one of
 * "?&;#" and is advanced past it: all that an origin may take for a separator is one. False: rest
 * is empty. */
struct credential_query {
	struct slice whole; /* with the separator in front */
	struct slice name;
	struct slice value; /* after "=" */
	bool has_value;	    /* there is a "=" */
};
bool credential_query_next(struct slice *rest, struct credential_query *parameter);
/* Appends a path with its query, without the parameters that are credentials. 0 or -ENOMEM. */
int credential_strip_query(struct slice path, struct buf *out);

#endif
