// SPDX-License-Identifier: GPL-2.0-or-later
/* What is to be changed in a request, so that its stream tells its usage. */
#include "openai/request.h"
#include "openai/request_reader.h"

/* What makes the value of stream_options ask for usage. */
static bool options_splice(const struct request_reader *r, struct request_splice *splice)
{
	const struct place *options = &r->options, *flag = &r->include_usage;

	if (r->facts.include_usage == REQUEST_TRUE || r->facts.include_usage == REQUEST_NOT_BOOLEAN)
		return false;
	if (options->type == JSON_NULL)
		*splice = (struct request_splice){
			options->start, 4, SLICE("{\"include_usage\":true}")};
	else if (options->type != JSON_OBJECT)
		return false;
	else if (flag->there)
		*splice = (struct request_splice){
			flag->start, (size_t)(flag->end - flag->start), SLICE("true")};
	else
		*splice = (struct request_splice){options->end - 1, 0,
			options->empty ? SLICE("\"include_usage\":true")
				       : SLICE(",\"include_usage\":true")};
	return true;
}

/* Whether the service takes no edit beside what is there already. */
static bool excludes(const struct request_reader *r)
{
	return r->facts.data_sources && r->operation->usage_excludes_data;
}

/* Whether the body is whole, streams, and is the same to every parser. */
static bool may_inject(const struct request_reader *r)
{
	return r->root.there && r->facts.readable && r->facts.stream == REQUEST_TRUE && !excludes(r);
}

/* What asks for usage at the end of the body, which is not empty: "stream" is in it. */
static struct request_splice tail_splice(const struct request_reader *r)
{
	return (struct request_splice){
		r->root.end - 1, 0, SLICE(",\"stream_options\":{\"include_usage\":true}")};
}

bool request_rename_model(
	const struct request_reader *r, struct slice name, struct request_splice *splice)
{
	if (!r->facts.readable || !r->model.there || r->model.type != JSON_STRING)
		return false;
	*splice = (struct request_splice){
		r->model.start + 1, (size_t)(r->model.end - r->model.start) - 2, name};
	return true;
}

bool request_add_model(
	const struct request_reader *r, struct slice member, struct request_splice *splice)
{
	if (!r->facts.readable || !r->root.there || r->root.empty || r->model.there)
		return false;
	*splice = (struct request_splice){r->root.end - 1, 0, member};
	return true;
}

bool request_may_inject_later(const struct request_reader *r)
{
	struct request_splice splice;

	if (!r->facts.readable || excludes(r) || r->facts.stream == REQUEST_FALSE ||
		r->facts.stream == REQUEST_NOT_BOOLEAN)
		return false;
	return !r->options.there || options_splice(r, &splice);
}

uint64_t request_settled(const struct request_reader *r)
{
	return r->facts.stream_options && !r->options.there ? r->options.start : r->facts.bytes;
}

bool request_inject_later(
	const struct request_reader *r, uint64_t gone, struct request_splice *splice)
{
	/* Options without a stream are an error of the client's, with the edit as without. */
	if (r->options.there)
		return request_may_inject_later(r) && r->options.start >= gone &&
		       options_splice(r, splice);
	if (!may_inject(r) || r->root.end <= gone)
		return false;
	*splice = tail_splice(r);
	return true;
}

bool request_inject_usage(const struct request_reader *r, struct request_splice *splice)
{
	if (!may_inject(r))
		return false;
	if (r->facts.stream_options)
		return options_splice(r, splice);
	*splice = tail_splice(r);
	return true;
}
