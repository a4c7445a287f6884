/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One event of a streamed answer, parsed, by the family of its operation: puts what it says into the
 * reader's facts and output, and returns a set of enum response_event_flags. */
#ifndef OPENAI_RESPONSE_EVENT_H
#define OPENAI_RESPONSE_EVENT_H

#include <yyjson.h>

struct response_reader;

/* A chunk of chat completions or completions. */
unsigned chat_event(struct response_reader *reader, yyjson_val *root);
/* An event of Responses. */
unsigned responses_event(struct response_reader *reader, yyjson_val *root);
/* An event of Anthropic's messages. */
unsigned messages_event(struct response_reader *reader, yyjson_val *root);
/* An event of a run. */
unsigned threads_event(struct response_reader *reader, yyjson_val *root);
/* An event of images, speech and transcriptions: its type says when something is complete. */
unsigned media_event(struct response_reader *reader, yyjson_val *root);

#endif
