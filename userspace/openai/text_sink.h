/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who hears the texts of a body while it passes: every string of its JSON that is a value, the fields
 * of a form, the words of a stream. What is data in a string (images, sound) is told as such; the files
 * of a form are not told. When bytes of a body go on (reader_feed's pass), what they say was told, but
 * for an escape or a character that has only begun, and an event that has only begun where the reader
 * hides nothing (reader_hides). */
#ifndef OPENAI_TEXT_SINK_H
#define OPENAI_TEXT_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum text_kind {
	TEXT_INPUT,	   /* words for the model: messages, prompts, arguments of former calls */
	TEXT_INSTRUCTIONS, /* of Responses */
	TEXT_TOOL,	   /* what a tool is called and described by */
	TEXT_OUTPUT,	   /* words of the model: messages, refusals, reasoning, arguments of calls */
	TEXT_AGAIN,	   /* the same, said once more by a later event of its stream */
	TEXT_DATA,	   /* data or where it lies: images, sound, files */
	TEXT_OTHER,	   /* any other string: model, user, role, type, in arguments that are an object … */
	TEXT_KINDS
};

struct text_piece {
	enum text_kind kind;
	uint64_t index;	    /* of the message, resp. of the choice or the item of output */
	uint64_t text;	    /* pieces of streams: equal for those of one text; else 0 */
	struct slice words; /* decoded; a piece may end inside of a character */
	/* Its string begins, ends with this piece (which may be empty). Of a text that streams neither
	 * is known: it ends with the body. */
	bool first, last;
	/* The bytes of the body (content coding undone) that say it, escapes and all, without quotes:
	 * offsets. Not known of what was not read as it came (long events, data in several lines,
	 * characters that were mended): then placed is false. */
	bool placed;
	uint64_t start, end;
};

struct text_sink {
	/* What piece points to is valid during the call. Returns what was done, as of base/work.h. */
	uint64_t (*hear)(void *context, const struct text_piece *piece);
	void *context;
};

/* Of a reader: what it told. */
struct texts {
	struct text_sink sink; /* hear NULL: nobody hears it, and it is only counted */
	uint64_t bytes[TEXT_KINDS];
	uint64_t spent; /* by the sink; its owner takes it */
};

static inline void texts_tell(struct texts *texts, const struct text_piece *piece)
{
	texts->bytes[piece->kind] += piece->words.len;
	if (texts->sink.hear)
		texts->spent += texts->sink.hear(texts->sink.context, piece);
}

static inline uint64_t texts_take_spent(struct texts *texts)
{
	uint64_t spent = texts->spent;

	texts->spent = 0;
	return spent;
}

#endif
