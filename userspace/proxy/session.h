/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A WebSocket: an exchange whose request is an upgrade, and the calls that are made inside of it, each
 * with an event of its own. Frames pass as they come, once they are found well-formed; a message that
 * asks for a response is held until policy has read it. */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct exchange;
struct head;
struct session;

/* Whether the request asks for a WebSocket that is served; then the exchange has a session. 0, -EPROTO:
 * it is none, or -ENOMEM. */
int session_open(struct exchange *exchange, const struct head *head);
void session_free(struct session *session);
/* The 101 is handed over: what the client has said already may be read. */
bool session_take_opened(struct session *session);

/* The next bytes of the client, or of the origin. 0; or a negative errno: the exchange is over. */
int session_client(struct exchange *exchange, struct slice span);
int session_origin(struct exchange *exchange, struct slice span);
/* The origin has closed its connection. As those. */
int session_origin_ended(struct exchange *exchange);
/* Of an exchange that has failed: its client is told why, by a Close, if it stands in a WebSocket. */
bool session_say_failed(struct exchange *exchange);
/* Up to which offset the client's bytes may go on. */
uint64_t session_cleared(const struct session *session);
/* Whether both sides have said that it is over. */
bool session_is_closed(const struct session *session);
/* The exchange ends, and with it the calls in progress. */
void session_end(struct exchange *exchange);

#endif
