/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How one attempt at a backend came out, as far as the choice of the next one is concerned. */
#ifndef BACKEND_BACKEND_OUTCOME_H
#define BACKEND_BACKEND_OUTCOME_H

/* X(ID, "name", WHOLE): name is told in events and by `sallyport backends`. WHOLE: what it says of the
 * backend as a whole, apart from the deployment that was asked: one that throttles, or fails, was
 * reached and knows the credential. */
#define BACKEND_OUTCOMES(X)                                                                           \
	X(NONE, "none", NONE)		       /* nothing is known: the client left */         \
	X(ANSWERED, "answered", ANSWERED)      /* also by an error that is the client's doing */ \
	X(THROTTLED, "throttled", ANSWERED)    /* 429 */                                       \
	X(FAILED, "failed", ANSWERED)	       /* 408, 500, 502, 503, 504, an error in a stream */ \
	X(SLOW, "slow", NONE)		       /* no first output in time */                   \
	X(LOST, "lost", NONE)		       /* the connection, before the answer was whole */ \
	X(UNREACHED, "unreached", UNREACHED)   /* no connection, or none that is verified */   \
	X(FORBIDDEN, "forbidden", ANSWERED)    /* 403: not with this credential */             \
	X(CREDENTIAL, "credential", CREDENTIAL) /* 401 */                                      \
	X(QUOTA, "quota", QUOTA) /* 429 that says that what is paid for is used up */

enum backend_outcome {
#define BACKEND_OUTCOME_ID(ID, ...) BACKEND_##ID,
	BACKEND_OUTCOMES(BACKEND_OUTCOME_ID)
#undef BACKEND_OUTCOME_ID
	BACKEND_COUNT
};

#endif
