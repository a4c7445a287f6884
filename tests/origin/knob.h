/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test asks of the origin: request headers "x-test-NAME: VALUE", or "[x-test-NAME=VALUE]"
 * anywhere in the prompt, for clients that cannot set a header. */
#ifndef ORIGIN_KNOB_H
#define ORIGIN_KNOB_H

#include "base/slice.h"

#define KNOB_ABSENT (-1L)

/* Numbers, KNOB_ABSENT when not given. */
#define KNOB_NUMBERS(X)                                                                            \
	X(status, "status")		  /* an error of this status, in the path's dialect */     \
	X(every, "every")		  /* that status for each so many-th request alone */      \
	X(events, "events")		  /* pieces of the completion; default 5 */                \
	X(bytes, "bytes")		  /* pad the completion's text to this length */           \
	X(pace_ms, "pace-ms")		  /* between two events */                                 \
	X(delay_ms, "delay-ms")		  /* before the head */                                    \
	X(read_pause_ms, "read-pause-ms") /* after the head, before the body is read */            \
	X(chunk, "chunk")		  /* bytes per HTTP chunk and write */                     \
	X(batch, "batch")		  /* events per write; default 1 */                        \
	X(cached, "cached")		  /* usage: cached prompt tokens */                        \
	X(reasoning, "reasoning")	  /* usage: reasoning tokens */                            \
	X(tools, "tools")		  /* 1: answer with a tool call */                         \
	X(early, "early")		  /* 1: answer before the body was read */                 \
	X(error_after, "error-after")	  /* events, then an error object in the stream */         \
	X(cut_after, "cut-after")	  /* events (or body bytes), then the connection drops */  \
	X(stall_after, "stall-after")	  /* events, then silence */                               \
	X(retry_after, "retry-after")	  /* seconds named by a 429 */                             \
	X(interim, "interim")		  /* an interim response (102, 103) before the head */     \
	X(trailers, "trailers")		  /* 1: trailers after a chunked body */                   \
	X(async_filter, "async-filter")	  /* 1: Azure's chunk with offsets and no delta */         \
	X(quiet_close, "quiet-close")	  /* 1: close after the answer without saying so */        \
	X(idle_close_ms, "idle-close-ms") /* closes that long after the answer */                  \
	X(strict, "strict")		  /* 1: 400 when include_usage is asked for; 2: another 400 */ \
	X(echo, "echo")			  /* 1: a refusal tells the credential that came */        \
	X(comment, "comment")		  /* 1: SSE comments and field names between events */

/* Words, empty when not given. */
#define KNOB_WORDS(X)                                                                              \
	X(coding, "coding")   /* gzip, deflate, br, zstd, "auto": by Accept-Encoding */            \
	X(framing, "framing") /* length, chunked, close */                                         \
	X(usage, "usage")     /* none: never; choices: on the last chunk that has choices; seconds: of sound */       \
	X(finish, "finish")   /* finish_reason instead of stop */                                  \
	X(newline, "newline") /* of events: lf, crlf, cr */                                        \
	X(expect, "expect")   /* of Expect: 100-continue: ignore, or refuse with 417 */            \
	X(bad, "bad")	      /* a malformed answer: see reply.c */                                \
	X(end, "end")	      /* of a stream. unmarked: without [DONE]; cut, stall: after it */    \
	X(code, "code")	      /* the code of the error, in place of its own */                      \
	X(answer, "answer")   /* none: the whole request is read, then the connection closed */    \
	X(id, "id")	      /* written to the journal, to find the request again */

struct knob_word {
	char text[32];
};

struct knob {
#define X(field, name) long field;
	KNOB_NUMBERS(X)
#undef X
#define X(field, name) struct knob_word field;
	KNOB_WORDS(X)
#undef X
};

void knob_reset(struct knob *knob);
/* Takes a header if it is one of ours; a value that does not fit is ignored. */
void knob_take_header(struct knob *knob, struct slice name, struct slice value);
/* Takes all [x-test-NAME=VALUE] of a text. */
void knob_take_text(struct knob *knob, struct slice text);

static inline bool knob_is(const struct knob_word *word, const char *text)
{
	return strcmp(word->text, text) == 0;
}

/* The number, or what it is when absent. */
static inline long knob_or(long value, long otherwise)
{
	return value == KNOB_ABSENT ? otherwise : value;
}

#endif
