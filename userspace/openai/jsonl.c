// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/jsonl.h"

#include <stdlib.h>
#include <string.h>

#include "openai/json_mend.h"
#include "openai/json_scan.h"
#include "openai/json_text.h"
#include "openai/newest.h"

/* What a line costs besides its bytes: its reader begins anew. */
#define JSONL_LINE_WORK 512

enum node {
	NODE_ROOT = JSON_ROOT,
	NODE_BODY,
	NODE_MODEL,
	NODE_TOOLS,
	NODE_TOOL,
	NODE_SECRET, /* what an MCP server is called with */
	NODE_SERVERS,
	NODE_RESPONSE,
	NODE_USAGE,
	NODE_INPUT,
	NODE_OUTPUT,
	NODE_TOTAL,
	NODE_INPUT_DETAILS,
	NODE_OUTPUT_DETAILS,
	NODE_PARTS_OF_USAGE, /* … and one for each enum usage_part */
};

#define DETAILS_RULE(where, name)    {NODE_USAGE, NODE_##where, name},
#define PART_RULE(where, name, part) {NODE_##where, NODE_PARTS_OF_USAGE + USAGE_##part, name},

static const struct json_rule rules[] = {{NODE_ROOT, NODE_BODY, "body"},
	{NODE_BODY, NODE_MODEL, "model"}, {NODE_BODY, NODE_TOOLS, "tools"},
	{NODE_TOOLS, NODE_TOOL, JSON_ELEMENT}, {NODE_TOOL, NODE_SECRET, "authorization"},
	{NODE_TOOL, NODE_SECRET, "headers"}, {NODE_BODY, NODE_SERVERS, "mcp_servers"},
	{NODE_SERVERS, NODE_TOOL, JSON_ELEMENT}, {NODE_TOOL, NODE_SECRET, "authorization_token"},
	{NODE_ROOT, NODE_RESPONSE, "response"}, {NODE_RESPONSE, NODE_BODY, "body"},
	{NODE_BODY, NODE_USAGE, "usage"}, {NODE_USAGE, NODE_INPUT, "prompt_tokens"},
	{NODE_USAGE, NODE_INPUT, "input_tokens"}, {NODE_USAGE, NODE_OUTPUT, "completion_tokens"},
	{NODE_USAGE, NODE_OUTPUT, "output_tokens"}, {NODE_USAGE, NODE_TOTAL, "total_tokens"},
	USAGE_DETAILS(DETAILS_RULE) USAGE_NAMES(PART_RULE)};

/* Of one line. */
struct line {
	bool begun;	/* a byte came that is no blank */
	bool bad, kept; /* kept: its object is in newest */
	bool has_input, has_output, has_total;
	uint64_t input, output, total;
	struct usage_count parts[USAGE_PARTS];
};

struct jsonl {
	struct jsonl_facts facts;
	bool sniffed;  /* its first byte came */
	unsigned mark; /* bytes of the byte order mark that came */
	struct json_scan *scan;
	struct line line;
	struct newest newest;
	struct json_keep keep, keep_text;
	struct buf text, content;
	bool lone_surrogate;
	struct texts told;
	enum text_kind words;
	bool in_body;
	char model[JSONL_TEXT];
	uint64_t spent;
};

static void line_bad(struct jsonl *j, const char *problem)
{
	j->line.bad = true;
	if (!j->facts.problem)
		j->facts.problem = problem;
}

static void doubt(void *context, enum json_doubt why)
{
	line_bad(context, why == JSON_DOUBT_TWICE ? "duplicate key" : "ambiguous key");
}

static void overflow(void *context, struct slice bytes)
{
	struct jsonl *j = context;

	newest_overflow(&j->newest, bytes);
	j->keep.max = 0;
}

static void keep_line(struct jsonl *j, struct json_scan *scan)
{
	if (!j->newest.max)
		return;
	newest_begin(&j->newest);
	j->line.kept = true;
	j->keep = (struct json_keep){
		.into = &j->newest.json,
		.max = buf_len(&j->newest.json) + j->newest.max,
		.overflow = j->newest.alone.max ? overflow : NULL,
		.context = j,
	};
	json_scan_keep_raw(scan, &j->keep);
}

static void enter(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct jsonl *j = context;

	switch ((enum node)v->node) {
	case NODE_ROOT:
		if (v->type == JSON_OBJECT)
			keep_line(j, scan);
		else
			line_bad(j, "not a JSON object");
		break;
	case NODE_BODY:
		j->in_body = true;
		break;
	case NODE_MODEL:
		buf_clear(&j->text);
		json_scan_keep_text(scan, &j->keep_text);
		break;
	case NODE_SECRET:
		if (v->type != JSON_NULL)
			json_scan_hide(scan, SLICE("\"[redacted]\""));
		break;
	default:
		break;
	}
}

static void tell(void *context, const struct json_part *part)
{
	struct jsonl *j = context;
	const struct text_piece piece = {
		.kind = j->in_body && !part->node ? j->words : TEXT_OTHER,
		.index = j->facts.lines,
		.words = part->text,
		.first = part->first,
		.last = part->last,
	};

	texts_tell(&j->told, &piece);
}

static void leave_model(struct jsonl *j)
{
	struct jsonl_facts *f = &j->facts;
	struct slice model = json_text_cut(buf_slice(&j->text), sizeof(j->model));

	if (!f->model.len)
		f->model = json_text_copy(j->model, sizeof(j->model), model);
	else
		f->models_differ |= !slice_equal(f->model, model);
}

static void leave(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct jsonl *j = context;
	struct line *line = &j->line;

	(void)scan;
	if (v->node >= NODE_PARTS_OF_USAGE) {
		struct usage_count *part = &line->parts[v->node - NODE_PARTS_OF_USAGE];

		part->told |= json_value_count(v, &part->tokens);
		return;
	}
	switch ((enum node)v->node) {
	case NODE_ROOT:
		if (line->kept)
			newest_add(&j->newest, v->end - v->start, false);
		line->kept = false;
		break;
	case NODE_BODY:
		j->in_body = false;
		break;
	case NODE_MODEL:
		if (v->type == JSON_STRING && buf_len(&j->text))
			leave_model(j);
		break;
	case NODE_INPUT:
		line->has_input |= json_value_count(v, &line->input);
		break;
	case NODE_OUTPUT:
		line->has_output |= json_value_count(v, &line->output);
		break;
	case NODE_TOTAL:
		line->has_total |= json_value_count(v, &line->total);
		break;
	default:
		break;
	}
}

/* A sum that every reader can store; the largest one, when there is none. */
static void add(uint64_t *sum, uint64_t more)
{
	if (__builtin_add_overflow(*sum, more, sum) || *sum > INT64_MAX)
		*sum = INT64_MAX;
}

static void add_usage(struct jsonl_facts *f, struct line *line)
{
	if (!line->has_total && line->has_input && line->has_output) {
		add(&line->total, line->input);
		add(&line->total, line->output);
		line->has_total = true;
	}
	f->has_usage |= line->has_input || line->has_output || line->has_total;
	f->has_input |= line->has_input;
	f->has_output |= line->has_output;
	f->has_total |= line->has_total;
	add(&f->input_tokens, line->has_input ? line->input : 0);
	add(&f->output_tokens, line->has_output ? line->output : 0);
	add(&f->total_tokens, line->has_total ? line->total : 0);
	for (int i = 0; i < USAGE_PARTS; i++) {
		f->parts[i].told |= line->parts[i].told;
		add(&f->parts[i].tokens, line->parts[i].told ? line->parts[i].tokens : 0);
	}
}

static void line_ends(struct jsonl *j)
{
	enum json_problem problem;
	struct line *line = &j->line;

	if (!line->begun)
		return;
	problem = json_scan_end(j->scan);
	if (problem)
		line_bad(j, json_problem_name(problem));
	/* Of a line that breaks off there is what came of it. */
	if (line->kept)
		newest_add_unfinished(&j->newest);
	j->lone_surrogate |= json_scan_met_lone_surrogate(j->scan);
	j->facts.lines++;
	j->facts.bad += line->bad;
	if (!line->bad)
		add_usage(&j->facts, line);
	j->spent += JSONL_LINE_WORK;
	memset(line, 0, sizeof(*line));
	j->in_body = false;
	json_scan_restart(j->scan);
}

struct jsonl *jsonl_new(size_t content_max)
{
	static const struct json_handler handler = {
		rules, sizeof(rules) / sizeof(rules[0]), enter, leave, doubt, tell};
	struct jsonl *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->keep_text = (struct json_keep){.into = &j->text, .max = JSONL_TEXT};
	newest_init(&j->newest, content_max);
	j->scan = json_scan_new(&handler, j);
	if (j->scan)
		return j;
	free(j);
	return NULL;
}

void jsonl_tell(struct jsonl *j, struct text_sink sink, enum text_kind words)
{
	j->told.sink = sink;
	j->words = words;
}

void jsonl_free(struct jsonl *j)
{
	if (!j)
		return;
	json_scan_free(j->scan);
	newest_free(&j->newest);
	buf_free(&j->text);
	buf_free(&j->content);
	free(j);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Passes over a byte order mark and blanks, up to what tells whether it is such a file. */
static void sniff(struct jsonl *j, struct slice *piece)
{
	static const char mark[] = "\xef\xbb\xbf";

	while (piece->len && !j->sniffed) {
		char c = piece->data[0];

		if (j->mark < 3 && c == mark[j->mark]) {
			j->mark++;
		} else if (!is_blank(c) || (j->mark && j->mark < 3)) {
			j->sniffed = true;
			j->facts.is_one = c == '{' && j->mark % 3 == 0;
			return;
		} else {
			j->mark = 3;
		}
		*piece = slice_after(*piece, 1);
	}
}

/* The part of a line that has come: a line of blanks is none. */
static void feed_line(struct jsonl *j, struct slice part)
{
	while (!j->line.begun && part.len && is_blank(part.data[0]))
		part = slice_after(part, 1);
	if (!part.len)
		return;
	j->line.begun = true;
	json_scan_feed(j->scan, part);
}

void jsonl_feed(struct jsonl *j, struct slice piece)
{
	sniff(j, &piece);
	while (piece.len && j->facts.is_one) {
		size_t len = slice_index(piece, '\n');

		feed_line(j, slice_first(piece, len));
		if (len < piece.len)
			line_ends(j);
		piece = slice_after(piece, len + 1);
	}
}

uint64_t jsonl_spent(struct jsonl *j)
{
	uint64_t spent = j->spent + newest_spent(&j->newest) + texts_take_spent(&j->told);

	j->spent = 0;
	return spent;
}

void jsonl_end(struct jsonl *j)
{
	struct jsonl_facts *f = &j->facts;

	line_ends(j);
	if (!j->newest.elements && !buf_len(&j->newest.json))
		return;
	newest_end(&j->newest, &j->content);
	if (j->lone_surrogate && json_mend_surrogates(&j->content) < 0)
		j->newest.no_memory = true;
	f->content = buf_slice(&j->content);
	f->cut = j->newest.cut;
	f->truncated = f->cut || j->newest.no_memory;
}

const struct jsonl_facts *jsonl_facts(const struct jsonl *j)
{
	return &j->facts;
}
