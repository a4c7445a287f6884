/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a request that is a form (http/multipart.h): audio to be transcribed, images to be edited. Of
 * files the name, the type and the size are told, and of files of calls (jsonl.h) that are uploaded their
 * lines. Memory is bounded by content_max. */
#ifndef OPENAI_FORM_H
#define OPENAI_FORM_H

#include "openai/request.h"

struct form_reader;

/* type: the value of Content-Type. NULL without memory. */
struct form_reader *form_reader_new(
	const struct operation *operation, struct slice type, size_t content_max);
/* As request_reader_tell. */
void form_reader_tell(struct form_reader *r, struct text_sink sink);
/* As request_reader_digest. */
void form_reader_digest(struct form_reader *r, const struct parts_digest *digest);
/* As request_reader_spent. */
uint64_t form_reader_spent(struct form_reader *r);
void form_reader_free(struct form_reader *r);
/* A piece of the body (content coding undone). 0, or -EBADMSG once it cannot be read on. */
int form_reader_feed(struct form_reader *r, struct slice piece);
/* As request_reader_fail. */
void form_reader_fail(struct form_reader *r, const char *problem);
/* No more pieces; any number of times. */
void form_reader_end(struct form_reader *r);
/* Never NULL; messages only after form_reader_end: one of the user, of the prompt and the files. */
const struct request_facts *form_reader_facts(const struct form_reader *r);
/* As request_rename_model. */
bool form_rename_model(
	const struct form_reader *r, struct slice name, struct request_splice *splice);
/* Input tokens by rule of thumb, as request_estimate_tokens: of the prompt and the images; sound is
 * not estimated. */
uint64_t form_estimate_tokens(const struct form_reader *r);

#endif
