// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "openai/operation.h"

#define AZURE  CONFIG_PROVIDER_AZURE
#define OPENAI CONFIG_PROVIDER_OPENAI

struct expected {
	enum config_provider provider;
	const char *method, *target;
	const char *operation; /* NULL: none */
	enum dialect dialect;
	const char *deployment, *api_version;
	enum family family;
};

static const struct expected recognised[] = {
	{AZURE, "POST", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
		"chat", DIALECT_AZURE, "gpt-4o", "2024-10-21", FAMILY_CHAT},
	{AZURE, "POST", "/openai/deployments/d/completions?x=1&api-version=2023-05-15",
		"text_completion", DIALECT_AZURE, "d", "2023-05-15", FAMILY_COMPLETION},
	{AZURE, "POST", "/openai/deployments/d/embeddings?api-version=2024-02-01", "embeddings",
		DIALECT_AZURE, "d", "2024-02-01", FAMILY_EMBEDDINGS},
	{AZURE, "POST", "/openai/deployments/d/audio/transcriptions?api-version=2024-02-01",
		"transcription", DIALECT_AZURE, "d", "2024-02-01", FAMILY_TRANSCRIPTION},
	{AZURE, "POST", "/openai/deployments/d/audio/translations?api-version=2024-02-01",
		"translation", DIALECT_AZURE, "d", "2024-02-01", FAMILY_TRANSCRIPTION},
	{AZURE, "POST", "/openai/deployments/d/audio/speech?api-version=2024-02-01", "speech",
		DIALECT_AZURE, "d", "2024-02-01", FAMILY_SPEECH},
	{AZURE, "POST", "/openai/deployments/d/images/generations?api-version=2024-02-01",
		"image_generation", DIALECT_AZURE, "d", "2024-02-01", FAMILY_IMAGES},
	{AZURE, "POST", "/openai/deployments/d/images/edits?api-version=2025-04-01-preview",
		"image_edit", DIALECT_AZURE, "d", "2025-04-01-preview", FAMILY_IMAGES},
	{AZURE, "POST", "/openai/responses?api-version=2025-03-01-preview", "responses",
		DIALECT_AZURE, "", "2025-03-01-preview", FAMILY_RESPONSES},
	{AZURE, "GET", "/openai/models?api-version=2024-10-21", "models", DIALECT_AZURE, "",
		"2024-10-21", FAMILY_NONE},
	{AZURE, "POST", "/openai/fine_tuning/jobs?api-version=2024-10-21", "fine_tuning",
		DIALECT_AZURE, "", "2024-10-21", FAMILY_JOBS},
	{AZURE, "GET", "/openai/realtime?api-version=2024-10-01-preview&deployment=rt", "realtime",
		DIALECT_AZURE, "rt", "2024-10-01-preview", FAMILY_NONE},
	/* Where the body or the path says it, the query does not. */
	{AZURE, "POST", "/openai/v1/responses?deployment=gpt-4o-mini", "responses", DIALECT_AZURE_V1,
		"", "", FAMILY_RESPONSES},
	{AZURE, "POST", "/openai/deployments/d/chat/completions?api-version=2024-10-21&deployment=e",
		"chat", DIALECT_AZURE, "d", "2024-10-21", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/chat/completions?deployment=gpt-4o-mini&Deployment=x", "chat",
		DIALECT_OPENAI, "", "", FAMILY_CHAT},
	{OPENAI, "GET", "/v1/responses/r?include%5B%5D=a&include%5B%5D=b%2Bc&%=%&api-versio%", "stored_response",
		DIALECT_OPENAI, "", "", FAMILY_RESPONSES},
	{AZURE, "POST", "/openai/v1/chat/completions", "chat", DIALECT_AZURE_V1, "", "", FAMILY_CHAT},
	{AZURE, "POST", "/openai/v1/chat/completions?api-version=preview", "chat", DIALECT_AZURE_V1,
		"", "preview", FAMILY_CHAT},
	{AZURE, "POST", "/api/projects/p/openai/v1/completions", "text_completion",
		DIALECT_AZURE_V1, "", "", FAMILY_COMPLETION},
	{OPENAI, "POST", "/v1/chat/completions", "chat", DIALECT_OPENAI, "", "", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/completions", "text_completion", DIALECT_OPENAI, "", "", FAMILY_COMPLETION},
	{AZURE, "POST", "/openai/realtime/client_secrets?deployment=d", "realtime_client_secrets", DIALECT_AZURE, "", "",
		FAMILY_ITEMS},
	{OPENAI, "POST", "/v1/chat/completions?deployment=d", "chat", DIALECT_OPENAI, "", "", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/responses?beta=true", "responses", DIALECT_OPENAI, "", "",
		FAMILY_RESPONSES},
	{OPENAI, "GET", "/v1/responses/resp_1?stream=true", "stored_response", DIALECT_OPENAI, "", "",
		FAMILY_RESPONSES},
	{OPENAI, "POST", "/v1/responses/resp_1/cancel", "stored_response", DIALECT_OPENAI, "", "",
		FAMILY_RESPONSES},
	{AZURE, "POST", "/openai/v1/responses/compact", "responses_compact", DIALECT_AZURE_V1, "", "",
		FAMILY_RESPONSES},
	{OPENAI, "POST", "/v1/responses/input_tokens", "responses_input_tokens", DIALECT_OPENAI, "", "",
		FAMILY_RESPONSES},
	{OPENAI, "GET", "/v1/realtime?model=gpt-realtime", "realtime", DIALECT_OPENAI, "gpt-realtime", "",
		FAMILY_NONE},
	{OPENAI, "GET", "/v1/chat/completions", "stored_chat", DIALECT_OPENAI, "", "", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/chat/completions/cc-1", "stored_chat", DIALECT_OPENAI, "", "", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/threads/t/runs", "threads", DIALECT_OPENAI, "", "", FAMILY_THREADS},
	{OPENAI, "GET", "/v1/files/f/content", "files", DIALECT_OPENAI, "", "", FAMILY_FILES},
	{OPENAI, "DELETE", "/v1/vector_stores/v/files/f", "vector_stores", DIALECT_OPENAI, "", "",
		FAMILY_ITEMS},
	{OPENAI, "POST", "/v1/moderations", "moderation", DIALECT_OPENAI, "", "", FAMILY_MODERATION},
	{OPENAI, "POST", "/v1/batches", "batches", DIALECT_OPENAI, "", "", FAMILY_JOBS},
	{OPENAI, "POST", "/v1/assistants", "assistants", DIALECT_OPENAI, "", "", FAMILY_THREADS},
	/* Every prefix. */
	{AZURE, "POST", "/api/projects/p/openai/responses?api-version=2025-05-01-preview", "responses",
		DIALECT_AZURE, "", "2025-05-01-preview", FAMILY_RESPONSES},
	{AZURE, "POST", "/api/projects/p/agents/a/endpoint/protocols/openai/v1/responses", "responses",
		DIALECT_AZURE_V1, "", "", FAMILY_RESPONSES},
	{AZURE, "POST", "/api/projects/p/agents/a/endpoint/protocols/openai/responses?api-version=2025-11-15",
		"responses", DIALECT_AZURE, "", "2025-11-15", FAMILY_RESPONSES},
	{AZURE, "GET", "/api/projects/p/agents/a/endpoint/protocols/openai/v1/responses/r", "stored_response",
		DIALECT_AZURE_V1, "", "", FAMILY_RESPONSES},
	{AZURE, "POST", "/api/projects/p/threads/t/runs?api-version=v1", "threads", DIALECT_AZURE, "",
		"v1", FAMILY_THREADS},
	{AZURE, "POST", "/models/chat/completions?api-version=2024-05-01-preview", "chat", DIALECT_AZURE,
		"", "2024-05-01-preview", FAMILY_CHAT},
	{AZURE, "POST", "/models/embeddings?api-version=2024-05-01-preview", "embeddings", DIALECT_AZURE,
		"", "2024-05-01-preview", FAMILY_EMBEDDINGS},
	{AZURE, "GET", "/models/info?api-version=2024-05-01-preview", "model_info", DIALECT_AZURE, "",
		"2024-05-01-preview", FAMILY_NONE},
	{AZURE, "POST", "/anthropic/v1/messages", "messages", DIALECT_ANTHROPIC, "", "", FAMILY_MESSAGES},
	{AZURE, "POST", "/anthropic/v1/messages/count_tokens?beta=true", "messages_count_tokens",
		DIALECT_ANTHROPIC, "", "", FAMILY_MESSAGES},
	{AZURE, "POST", "/openai/deployments/d/batches?api-version=2024-10-21", "batches", DIALECT_AZURE,
		"d", "2024-10-21", FAMILY_JOBS},
	{AZURE, "POST", "/openai/v1/realtime/calls", "realtime_calls", DIALECT_AZURE_V1, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/v1/videos", "videos", DIALECT_OPENAI, "", "", FAMILY_IMAGES},
	{OPENAI, "GET", "/v1/videos/v/content", "videos", DIALECT_OPENAI, "", "", FAMILY_IMAGES},
	{OPENAI, "GET", "/v1/evals/e", "evals", DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/v1/containers", "containers", DIALECT_OPENAI, "", "", FAMILY_NONE},
	/* Names are decoded. */
	{AZURE, "POST", "/openai/deployments/gpt%2D4%6f/chat/completions?api-version=2024-10-21", "chat",
		DIALECT_AZURE, "gpt-4o", "2024-10-21", FAMILY_CHAT},
	{OPENAI, "GET", "/v1/models/ft%3Agpt-4o%3Aorg", "models", DIALECT_OPENAI, "", "", FAMILY_NONE},
	{AZURE, "POST", "/api/projects/my%2Dproject/openai/v1/responses", "responses", DIALECT_AZURE_V1, "",
		"", FAMILY_RESPONSES},
	/* As lenient as Azure's front end is. */
	{AZURE, "POST", "/OpenAI/Deployments/GPT/Chat/Completions/?API-Version=2024-10-21", "chat",
		DIALECT_AZURE, "GPT", "2024-10-21", FAMILY_CHAT},
	{OPENAI, "POST", "https://api.openai.com/v1/chat/completions?a=b", "chat", DIALECT_OPENAI,
		"", "", FAMILY_CHAT},
	{OPENAI, "POST", "/v1/chat/completions?x=%2F..//", "chat", DIALECT_OPENAI, "", "", FAMILY_CHAT},
	/* Canonical, and not of the API. */
	{AZURE, "POST", "/openai/deployments/d/responses?api-version=2024-10-21", NULL,
		DIALECT_AZURE, "d", "", FAMILY_NONE},
	{AZURE, "GET", "/openai/deployments?api-version=2024-10-21", NULL, DIALECT_AZURE, "", "",
		FAMILY_NONE},
	{AZURE, "POST", "/v1/chat/completions", NULL, DIALECT_AZURE, "", "", FAMILY_NONE},
	{AZURE, "POST", "/openaiv1/chat/completions", NULL, DIALECT_AZURE, "", "", FAMILY_NONE},
	{AZURE, "POST", "/api/projects/openai/v1", NULL, DIALECT_AZURE, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/openai/v1/chat/completions", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/v1/chat", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/v1/completionsx", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "POST", "/v1/completions/x", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "GET", "/", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
	{OPENAI, "GET", "/v1", NULL, DIALECT_OPENAI, "", "", FAMILY_NONE},
};

static void targets_are_recognised_by_name(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(recognised) / sizeof(recognised[0]); i++) {
		const struct expected *e = &recognised[i];
		struct operation_match m;

		operation_match(
			e->provider, slice_of_string(e->method), slice_of_string(e->target), &m);
		if (!m.canonical || (m.operation != NULL) != (e->operation != NULL))
			fail_msg("%s", e->target);
		if (m.operation) {
			assert_string_equal(m.operation->name, e->operation);
			assert_int_equal(m.operation->family, e->family);
		}
		assert_int_equal(m.dialect, e->dialect);
		assert_true(slice_equal(m.deployment, slice_of_string(e->deployment)));
		assert_true(slice_equal(m.api_version, slice_of_string(e->api_version)));
	}
}

static void where_a_deployment_stands_is_told_as_it_was_written(void **state)
{
	struct operation_match m;

	(void)state;
	operation_match(AZURE, SLICE("POST"),
		SLICE("/openai/deployments/gpt%2D4o/chat/completions?api-version=2024-10-21"), &m);
	assert_true(slice_equal(m.deployment, SLICE("gpt-4o")));
	assert_true(slice_equal(m.deployment_written, SLICE("gpt%2D4o")));
	operation_match(AZURE, SLICE("POST"), SLICE("/openai/deployments/gpt-4o/chat/completions"), &m);
	assert_true(slice_equal(m.deployment_written, SLICE("gpt-4o")));
	operation_match(AZURE, SLICE("POST"),
		SLICE("/api/projects/p/agents/my%2Dagent/endpoint/protocols/openai/v1/responses"), &m);
	assert_true(slice_equal(m.agent, SLICE("my-agent")));
	assert_false(m.deployment_written.len);
}

static void a_path_too_long_to_be_decoded_is_not_canonical(void **state)
{
	char target[OPERATION_DECODED + 2] = "/v1/models/%41";
	struct operation_match m;

	(void)state;
	memset(target + strlen(target), 'a', OPERATION_DECODED - strlen(target));
	operation_match(OPENAI, SLICE("GET"), slice_of(target, OPERATION_DECODED), &m);
	assert_true(m.canonical && m.operation);
	target[OPERATION_DECODED] = 'a';
	operation_match(OPENAI, SLICE("GET"), slice_of(target, OPERATION_DECODED + 1), &m);
	assert_false(m.canonical || m.operation);
}

static void targets_that_readers_may_understand_differently_are_told_apart(void **state)
{
	static const char *const targets[] = {
		"/v1/chat%2Fcompletions",
		"/v1/%63hat/completions",
		"/%761/chat/completions",
		"/v1/responses/comp%61ct",
		"/v1/models/a%2Fb",
		"/v1/models/a%2fb",
		"/v1/models/%2e%2e",
		"/v1/models/%2e",
		"/v1/models/a%5Cb",
		"/v1/models/a%252Fb",
		"/v1/models/a%00",
		"/v1/models/a%20b",
		"/v1/models/a%c3%a4",
		"/v1/models/a%3fb",
		"/v1/models/a%3bb",
		"/v1/models/a%",
		"/v1/models/a%2",
		"/v1/models/a%zz",
		"/v1/nothing%41",
		"/v1//chat/completions",
		"//v1/chat/completions",
		"/v1/./chat/completions",
		"/v1/models/../chat/completions",
		"/v1/chat/completions/..",
		"/v1\\chat/completions",
		"/v1/chat;a=b/completions",
		"/v1/chat/completions?api-version=1&api-version=2",
		"/v1/chat/completions?api-version=&Api-Version=2",
		"/v1/chat/completions?api%2Dversion=2",
		"/v1/chat/completions?a=b&api-versio%6E=2",
		"/v1/chat/completions?api-version=2024%2D10-21",
		"/v1/realtime?deployment=a&deployment=b",
		"/v1/realtime?%64eployment=a",
		"",
		"*",
		"api.openai.com:443",
		"https://api.openai.com",
		"v1/chat/completions",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct operation_match m;

		operation_match(OPENAI, SLICE("POST"), slice_of_string(targets[i]), &m);
		if (m.canonical || m.operation)
			fail_msg("%s", targets[i]);
	}
}

static void usage_may_be_asked_for_from_the_version_that_has_it(void **state)
{
	static const struct {
		const char *version;
		bool allowed;
	} cases[] = {
		{"2023-05-15", false},
		{"2024-06-01", false},
		{"2024-08-01-preview", false},
		{"2024-09-01-preview", true},
		{"2024-10-21", true},
		{"2025-04-01-preview", true},
		{"preview", true},
		{"latest", true},
		{"v1", true},
		{"", false},
		{"2024", false},
		{"2024-9-01-preview", false},
		{"2024%2D10-21", false},
		{"tomorrow-is-late", false},
	};
	struct operation_match m = {.dialect = DIALECT_AZURE};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m.api_version = slice_of_string(cases[i].version);
		if (operation_allows_usage(m.dialect, m.api_version) != cases[i].allowed)
			fail_msg("%s", cases[i].version);
	}
	m.api_version = SLICE_NONE;
	m.dialect = DIALECT_AZURE_V1;
	assert_true(operation_allows_usage(m.dialect, m.api_version));
	m.dialect = DIALECT_OPENAI;
	assert_true(operation_allows_usage(m.dialect, m.api_version));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_recognised_by_name),
		cmocka_unit_test(targets_that_readers_may_understand_differently_are_told_apart),
		cmocka_unit_test(where_a_deployment_stands_is_told_as_it_was_written),
		cmocka_unit_test(a_path_too_long_to_be_decoded_is_not_canonical),
		cmocka_unit_test(usage_may_be_asked_for_from_the_version_that_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
