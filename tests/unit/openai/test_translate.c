// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "openai/translate.h"

#define DATED	"/openai/deployments/gpt-4o/"
#define VERSION "2024-10-21"

/* What is special about a body, and that an api-version is asked for. */
enum {
	NO_READER = 1,
	UNREADABLE = 2,
	PART = 4,
	FORM = 8,
	CODED = 16,
	DATA = 32,
	ODD_MODEL = 64,
	VERSIONED = 128,
};

/* A call, its body as far as it was read, and where it goes. */
struct call {
	const char *method, *target;
	enum dialect to;
	const char *model; /* of the body; NULL: it has none */
	unsigned what;
};

/* The target there; NULL: it is not exact. */
static const char *translated(const struct call *c, bool *awaits)
{
	static char text[512];
	struct request_facts facts = {
		.readable = !(c->what & UNREADABLE),
		.model = slice_of_string(c->model),
		.has_model = c->model || c->what & ODD_MODEL,
		.data_sources = c->what & DATA,
	};
	struct operation_match match;
	struct translation t = {
		.match = &match,
		.to = c->to,
		.facts = c->what & NO_READER ? NULL : &facts,
		.whole = !(c->what & PART),
		.form = c->what & FORM,
		.coded = c->what & CODED,
		.api_version = c->what & VERSIONED ? SLICE(VERSION) : SLICE_NONE,
	};
	struct slice target = slice_of_string(c->target);
	struct buf out = BUF_EMPTY;

	operation_match(strstr(c->target, "/v1/") == c->target ? CONFIG_PROVIDER_OPENAI
							       : CONFIG_PROVIDER_AZURE,
		slice_of_string(c->method), target, &match);
	t.model = match.deployment.len ? match.deployment : facts.model;
	*awaits = translation_awaits_body(&t);
	if (!translation_is_exact(&t))
		return NULL;
	assert_int_equal(
		translation_target(&t, slice_after(target, slice_index(target, '?') + 1), &out), 0);
	assert_true(buf_len(&out) < sizeof(text));
	memcpy(text, buf_slice(&out).data, buf_len(&out));
	text[buf_len(&out)] = '\0';
	buf_free(&out);
	return text;
}

static void what_is_exact(void **state)
{
	static const struct {
		struct call call;
		const char *there;
	} cases[] = {
		/* From dated paths: the model moves into the body. */
		{{"POST", DATED "chat/completions?api-version=" VERSION, DIALECT_OPENAI, "x", 0},
			"/v1/chat/completions"},
		{{"POST", DATED "chat/completions?api-version=" VERSION, DIALECT_AZURE_V1, NULL, 0},
			"/openai/v1/chat/completions"},
		{{"POST", DATED "embeddings?a=b&api-version=" VERSION "&c=d", DIALECT_OPENAI, NULL,
			 0},
			"/v1/embeddings?a=b&c=d"},
		{{"POST", DATED "audio/speech?api-version=&x", DIALECT_OPENAI, NULL, 0},
			"/v1/audio/speech?x"},
		{{"POST", DATED "images/generations", DIALECT_OPENAI, NULL, 0},
			"/v1/images/generations"},
		{{"POST", DATED "audio/transcriptions", DIALECT_OPENAI, "whisper", FORM},
			"/v1/audio/transcriptions"},
		/* To dated paths: out of it. */
		{{"POST", "/v1/chat/completions?x=y", DIALECT_AZURE, "gpt-4o", VERSIONED},
			"/openai/deployments/gpt-4o/chat/completions?api-version=" VERSION "&x=y"},
		{{"POST", "/openai/v1/embeddings?api-version=preview", DIALECT_AZURE, "ada",
			 VERSIONED},
			"/openai/deployments/ada/embeddings?api-version=" VERSION},
		{{"POST", "/v1/audio/transcriptions", DIALECT_AZURE, "whisper", VERSIONED | FORM},
			"/openai/deployments/whisper/audio/transcriptions?api-version=" VERSION},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, "gpt-4o", VERSIONED | PART},
			"/openai/deployments/gpt-4o/chat/completions?api-version=" VERSION},
		/* Between the other two only the prefix differs. */
		{{"POST", "/v1/chat/completions", DIALECT_AZURE_V1, NULL, PART},
			"/openai/v1/chat/completions"},
		{{"POST", "/openai/v1/responses?api-version=preview", DIALECT_OPENAI, NULL, 0},
			"/v1/responses"},
		{{"GET", "/openai/v1/responses/resp_1/input_items?limit=3", DIALECT_OPENAI, NULL,
			 0},
			"/v1/responses/resp_1/input_items?limit=3"},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE_V1, NULL, CODED},
			"/openai/v1/chat/completions"},
		/* What stands in the prefix in capitals is the same. */
		{{"POST", "/OpenAI/v1/chat/completions", DIALECT_OPENAI, NULL, 0},
			"/v1/chat/completions"},
		/* Not exact. */
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, UNREADABLE}, NULL},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, CODED}, NULL},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, DATA}, NULL},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, ODD_MODEL}, NULL},
		{{"POST", DATED "audio/transcriptions", DIALECT_OPENAI, NULL, FORM}, NULL},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, NO_READER}, NULL},
		{{"POST", "/openai/deployments/a\"b/chat/completions", DIALECT_OPENAI, NULL, 0},
			NULL},
		{{"POST", "/openai/deployments/a%20b/chat/completions", DIALECT_OPENAI, NULL, 0},
			NULL},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, "gpt-4o", 0}, NULL},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, NULL, VERSIONED}, NULL},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, "a/b", VERSIONED}, NULL},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, "a?b", VERSIONED}, NULL},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, "x", VERSIONED | UNREADABLE},
			NULL},
		{{"POST", "/v1/responses", DIALECT_AZURE, "gpt-4o", VERSIONED}, NULL},
		{{"POST", "/openai/responses", DIALECT_OPENAI, "gpt-4o", 0}, NULL},
		{{"POST", "/v1/moderations", DIALECT_AZURE_V1, "m", 0}, NULL},
		{{"POST", "/v1/files", DIALECT_AZURE_V1, NULL, 0}, NULL},
		{{"GET", "/v1/models", DIALECT_AZURE_V1, NULL, 0}, NULL},
		{{"POST", "/v1/batches", DIALECT_AZURE, NULL, VERSIONED}, NULL},
		{{"POST", "/v1/unknown", DIALECT_AZURE_V1, NULL, 0}, NULL},
		{{"POST", "/v1/chat//completions", DIALECT_AZURE_V1, NULL, 0}, NULL},
		{{"POST", "/api/projects/p/openai/v1/responses", DIALECT_OPENAI, NULL, 0}, NULL},
		{{"POST", "/anthropic/v1/messages", DIALECT_OPENAI, "claude", 0}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool awaits;
		const char *there = translated(&cases[i].call, &awaits);

		if (!there != !cases[i].there || (there && strcmp(there, cases[i].there) != 0))
			fail_msg("%s to %d: %s", cases[i].call.target, cases[i].call.to,
				there ? there : "not exact");
		assert_false(awaits);
	}
}

static void what_more_of_the_body_may_tell(void **state)
{
	static const struct {
		struct call call;
		bool awaits;
	} cases[] = {
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, PART}, true},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, NULL, PART | VERSIONED}, true},
		{{"POST", "/v1/chat/completions", DIALECT_AZURE, NULL, PART}, false},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, "x", PART}, false},
		{{"POST", DATED "chat/completions", DIALECT_OPENAI, NULL, PART | CODED}, false},
		{{"POST", DATED "chat/completions", DIALECT_AZURE, NULL, PART}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool awaits;

		translated(&cases[i].call, &awaits);
		if (awaits != cases[i].awaits)
			fail_msg("%zu: %s", i, cases[i].call.target);
	}
}

/* A name that facts may have cut is no deployment's. */
static void a_long_model(void **state)
{
	static char model[300];
	struct call call = {"POST", "/v1/chat/completions", DIALECT_AZURE, model, VERSIONED};
	bool awaits;

	(void)state;
	memset(model, 'm', 255);
	assert_non_null(translated(&call, &awaits));
	model[255] = 'm';
	assert_null(translated(&call, &awaits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_exact),
		cmocka_unit_test(what_more_of_the_body_may_tell),
		cmocka_unit_test(a_long_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
