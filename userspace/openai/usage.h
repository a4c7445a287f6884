/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tokens were used for: parts of the input and of the output, by the names that the dialects give
 * them. What is not told is not 0. */
#ifndef OPENAI_USAGE_H
#define OPENAI_USAGE_H

#include <stdbool.h>
#include <stdint.h>

enum usage_part {
	USAGE_CACHE_READ, /* of the input: found in the provider's prompt cache … */
	USAGE_CACHE_WRITE, /* … and written to it, which costs more */
	USAGE_INPUT_TEXT,
	USAGE_INPUT_AUDIO,
	USAGE_INPUT_IMAGE,
	USAGE_REASONING, /* of the output */
	USAGE_OUTPUT_TEXT,
	USAGE_OUTPUT_AUDIO,
	USAGE_OUTPUT_IMAGE,
	USAGE_ACCEPTED, /* of a prediction */
	USAGE_REJECTED, /* likewise; they cost as output does */
	USAGE_PARTS
};

struct usage_count {
	uint64_t tokens;
	bool told;
};

/* X(where, "name", part): members of a usage (USAGE), and of its details of the input (INPUT_DETAILS)
 * and of the output (OUTPUT_DETAILS). */
#define USAGE_NAMES(X)                                                                             \
	X(INPUT_DETAILS, "cached_tokens", CACHE_READ)                                              \
	X(INPUT_DETAILS, "cache_write_tokens", CACHE_WRITE)                                        \
	X(INPUT_DETAILS, "text_tokens", INPUT_TEXT)                                                \
	X(INPUT_DETAILS, "audio_tokens", INPUT_AUDIO)                                              \
	X(INPUT_DETAILS, "image_tokens", INPUT_IMAGE)                                              \
	X(OUTPUT_DETAILS, "reasoning_tokens", REASONING)                                           \
	X(OUTPUT_DETAILS, "text_tokens", OUTPUT_TEXT)                                              \
	X(OUTPUT_DETAILS, "audio_tokens", OUTPUT_AUDIO)                                            \
	X(OUTPUT_DETAILS, "image_tokens", OUTPUT_IMAGE)                                            \
	X(OUTPUT_DETAILS, "accepted_prediction_tokens", ACCEPTED)                                  \
	X(OUTPUT_DETAILS, "rejected_prediction_tokens", REJECTED)                                  \
	/* Anthropic's, whose input_tokens come besides. */                                        \
	X(USAGE, "cache_read_input_tokens", CACHE_READ)                                            \
	X(USAGE, "cache_creation_input_tokens", CACHE_WRITE)

/* What the details are called: X(where, "name"). Transcriptions and Realtime have the singular. */
#define USAGE_DETAILS(X)                                                                           \
	X(INPUT_DETAILS, "prompt_tokens_details")                                                  \
	X(INPUT_DETAILS, "input_tokens_details")                                                   \
	X(INPUT_DETAILS, "input_token_details")                                                    \
	X(OUTPUT_DETAILS, "completion_tokens_details")                                             \
	X(OUTPUT_DETAILS, "output_tokens_details")                                                 \
	X(OUTPUT_DETAILS, "output_token_details")

#endif
