// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <yyjson.h>

#include "cli/cell.h"
#include "cli/command.h"
#include "cli/json_print.h"
#include "cli/review.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport conversations [OPTIONS]\n"
	"\n"
	"Shows calls that belong together, the newest first: those of an address that begin with all\n"
	"messages of the same call. The last of them, which sallyport show takes, has all that was\n"
	"said. Only what was stored on one day is put together.\n"
	"\n"
	"  --limit NUMBER     of conversations; default 20, not 0";

#define CONVERSATIONS_ASKED 60 /* characters of the question that a line shows */

static int conversations_json(const struct query_conversation *of)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_strcpy(doc, root, "first", review_time_format(of->first_ns).text);
	yyjson_mut_obj_add_strcpy(doc, root, "last", review_time_format(of->last_ns).text);
	if (of->has_source)
		yyjson_mut_obj_add_strcpy(doc, root, "ip", address_format(&of->source).text);
	yyjson_mut_obj_add_strncpy(
		doc, root, "model", of->model.len ? of->model.data : "", of->model.len);
	yyjson_mut_obj_add_uint(doc, root, "calls", of->calls);
	yyjson_mut_obj_add_uint(doc, root, "messages", of->messages);
	yyjson_mut_obj_add_uint(doc, root, "input_tokens", of->input_tokens);
	yyjson_mut_obj_add_uint(doc, root, "output_tokens", of->output_tokens);
	yyjson_mut_obj_add_strncpy(
		doc, root, "question", of->question.len ? of->question.data : "", of->question.len);
	yyjson_mut_obj_add_strncpy(doc, root, "event.id",
		of->event_id.len ? of->event_id.data : "", of->event_id.len);
	return json_print(doc, 0, stdout) == 0 ? 0 : -EIO;
}

static int conversations_row(void *context, const struct query_conversation *of)
{
	const struct review *review = context;
	struct address_text ip = {""};

	if (review->json)
		return conversations_json(of);
	if (of->has_source)
		ip = address_format(&of->source);
	printf("%-20s ", review_time_format(of->last_ns).text);
	cell_print(stdout, 15, slice_of_string(ip.text));
	cell_print(stdout, 24, of->model);
	printf("%6llu %8llu %8llu ", (unsigned long long)of->calls,
		(unsigned long long)of->messages,
		(unsigned long long)(of->input_tokens + of->output_tokens));
	cell_print(stdout, 36, of->event_id);
	cell_text(stdout, of->question, CONVERSATIONS_ASKED);
	putchar('\n');
	return ferror(stdout) ? -EPIPE : 0;
}

int cmd_conversations(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_LIMIT | REVIEW_FILTERS | REVIEW_JSON,
		.store = REVIEW_STORE,
		.limit = 20};
	struct query *query = NULL;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);
	bool cut = false;

	if (error)
		return error < 0 ? 2 : 0;
	if (!review.limit) {
		say("--limit: not 0");
		return 2;
	}
	query = review_open(&review, "conversations", &why);
	if (!query) {
		error = -EIO;
	} else {
		if (!review.json)
			printf("%-20s %-15s %-24s %6s %8s %8s %-36s %s\n", "LAST", "SOURCE", "MODEL",
				"CALLS", "MESSAGES", "TOKENS", "ID", "ASKED");
		error = query_conversations(query, &review.filter, review.limit, conversations_row,
			&review, &cut, &why);
	}
	query_close(query);
	fflush(stdout);
	if (!error && cut)
		say("there are more calls than were put together: ask for a shorter time, or for less");
	if (error)
		say("%s", why.text[0] ? why.text : "the output cannot be written");
	return error ? 1 : 0;
}
