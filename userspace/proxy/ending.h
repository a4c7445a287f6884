/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every way in which an exchange ends other than well: one table, from which the client's error,
 * the event's error.type, the counters and the documentation are made. */
#ifndef PROXY_ENDING_H
#define PROXY_ENDING_H

#include <stdbool.h>

#include "base/counter.h"

/* Whose doing it is. */
enum ending_side { ENDING_BY_CLIENT, ENDING_BY_ORIGIN, ENDING_BY_US };

/* X(ID, "error.type", side, status, deny, final, counter, "message"): the name and the message
 * stand in for those that the case itself has (a malformed message, an origin's certificate).
 * status: of the answer, where there is still somebody to answer, 0 where there never is.
 * deny: the exchange's verdict is "deny", else "allow". final: the client's library shall not try
 * again (x-should-retry). */
/* clang-format off */
#define ENDINGS(X)                                                                              \
	/* the client's doing */                                                                 \
	X(CLIENT_CLOSED, "client_closed", CLIENT, 0, false, false, EXCHANGE_ABANDONED,           \
		"The client closed the connection before the end.")                              \
	X(CLIENT_STALLED, "client_stalled", CLIENT, 0, false, false, CLIENT_STALLED,             \
		"The client took nothing of its answer for too long.")                           \
	X(REQUEST_MALFORMED, "request_malformed", CLIENT, 400, true, true, REQUEST_MALFORMED,    \
		"The request is malformed.")                                                     \
	X(REQUEST_TIMEOUT, "request_timeout", CLIENT, 408, true, true, REQUEST_TIMEOUT,          \
		"The request's head did not arrive in time.")                                    \
	X(BODY_TIMEOUT, "body_timeout", CLIENT, 408, true, true, REQUEST_BODY_TIMEOUT,           \
		"The request's body stopped arriving.")                                          \
	X(MISDIRECTED, "misdirected_request", CLIENT, 421, true, true, REQUEST_REFUSED,          \
		"The Host of the request is not the host of this connection.")                   \
	X(UPGRADE, "upgrade_refused", CLIENT, 501, true, true, REQUEST_REFUSED,                  \
		"Upgrading the connection to another protocol is not supported here.")           \
	X(PATH, "path_not_canonical", CLIENT, 400, true, true, REQUEST_REFUSED,                  \
		"The path is not in its canonical form: send it without empty or dot segments, "  \
		"and with percent-encoding in names alone.")                                                        \
	X(UNREADABLE, "body_unreadable", CLIENT, 400, true, true, NONE,                          \
		"The request's body cannot be inspected.")                                       \
	X(REQUEST_UNFIT, "request_not_forwardable", CLIENT, 400, true, true, REQUEST_REFUSED,    \
		"The request cannot be forwarded.")                                              \
	X(POLICY, "policy_denied", CLIENT, 403, true, true, NONE,                                \
		"This call is denied by the policy of your network.")                            \
	X(KEY, "invalid_subscription_key", CLIENT, 401, true, true, NONE,                        \
		"Access denied due to invalid subscription key.")                                \
	X(TOKEN, "invalid_token", CLIENT, 401, true, true, NONE,                                 \
		"Access denied due to invalid token.")                                           \
	X(LIMIT, "rate_limit_exceeded", CLIENT, 429, true, false, NONE,                          \
		"A limit of your network is reached.")                                           \
	X(QUOTA, "insufficient_quota", CLIENT, 429, true, true, NONE,                            \
		"A limit of your network is used up.")                                           \
	X(LIMIT_SMALL, "call_exceeds_limit", CLIENT, 429, true, true, NONE,                      \
		"This call may need more than a limit of your network allows.")                  \
	X(UNTRANSLATABLE, "operation_unavailable", CLIENT, 404, true, true, NONE,                \
		"No backend of this host takes this call: they speak another form of the API, "  \
		"in which it cannot be said exactly.")                                           \
	/* the origin's doing */                                                                 \
	X(ORIGIN_UNAVAILABLE, "origin_unreachable", ORIGIN, 502, false, false, NONE,             \
		"The origin cannot be reached.")                                                 \
	X(ORIGIN_UNVERIFIED, "origin_unverified", ORIGIN, 502, false, true, NONE,                \
		"The origin is not who it should be.")                                           \
	X(ORIGIN_UNCONNECTED, "origin_timeout", ORIGIN, 504, false, false, NONE,                 \
		"There was no connection to the origin in time.")                                \
	X(ORIGIN_TIMEOUT, "origin_timeout", ORIGIN, 504, false, true, ORIGIN_TIMEOUT,            \
		"The origin did not answer in time.")                                            \
	X(ORIGIN_CLOSED, "origin_closed", ORIGIN, 502, false, false, NONE,                       \
		"The origin closed the connection before its response was complete.")            \
	X(ORIGIN_LOST, "origin_lost", ORIGIN, 502, false, false, ORIGIN_LOST,                    \
		"The connection to the origin failed.")                                          \
	X(RESPONSE_MALFORMED, "response_malformed", ORIGIN, 502, false, false,                   \
		RESPONSE_MALFORMED, "The origin's response is malformed.")                       \
	X(RESPONSE_UNFIT, "response_not_forwardable", ORIGIN, 502, false, false, NONE,           \
		"The origin's response cannot be forwarded.")                                    \
	X(ERROR_CODED, "response_unreadable", ORIGIN, 502, false, false, NONE,                   \
		"The origin's error is compressed though that was not asked for.")               \
	X(TRUNCATED, "truncated", ORIGIN, 502, false, false, RESPONSE_TRUNCATED,                 \
		"The origin ended its stream before the stream's own end mark.")                 \
	X(BACKENDS_BUSY, "backends_throttled", ORIGIN, 429, false, false, NONE,                  \
		"Every backend is over its limit.")                                              \
	X(OWNER_DOWN, "owner_unavailable", ORIGIN, 503, false, false, NONE,                      \
		"The backend that keeps what this call refers to is not available.")             \
	X(BACKENDS_DOWN, "backends_unavailable", ORIGIN, 503, false, false, NONE,                \
		"No backend is available.")                                                      \
	/* ours */                                                                               \
	X(SHUTDOWN, "shutdown", US, 503, false, false, EXCHANGE_SHUTDOWN,                        \
		"The appliance was shut down before the end.")                                   \
	X(CREDENTIAL_MISSING, "credential_missing", US, 503, false, false, CREDENTIAL_MISSING,   \
		"The appliance has no credential for the backend of this call now.")             \
	X(TOKEN_UNCHECKED, "token_unchecked", US, 503, true, false, NONE,                        \
		"The token cannot be checked now.")                                              \
	X(MEMORY, "memory", US, 503, false, false, NONE, "Out of memory.")                       \
	/* end */

enum ending {
	ENDING_NONE, /* as the origin answered */
#define ENDING_ID(ID, ...) ENDING_##ID,
	ENDINGS(ENDING_ID)
#undef ENDING_ID
	ENDING_COUNT
};
/* clang-format on */

struct ending_row {
	const char *name, *message;
	enum ending_side side;
	int status;
	bool deny, final;
	int counter; /* enum counter, or -1 */
};

/* What a case knows better than its row; members that are NULL or 0 leave it to the row. */
struct ending_detail {
	const char *name; /* never freed */
	const char *message;
	int status;
};

const struct ending_row *ending_row(enum ending ending);

#endif
