/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All operations of the API that are known by name. Routing, the readers, what may be done twice,
 * the facts that rules see and sallyport-operations(7) are made from this table alone. */
#ifndef OPENAI_OPERATION_TABLE_H
#define OPENAI_OPERATION_TABLE_H

/* X(ID, "name", "path", method, places, FAMILY, what else holds of it …, "what it is")
 *
 *	name	gen_ai.operation.name, and the name in rules: OpenTelemetry's where it has one
 *	path	as after "/v1/"
 *	method	NULL: any
 *	places	a set of enum operation_place: below which prefixes it stands
 *	FAMILY	of enum family: who reads its bodies
 *	else	designated members of struct operation, in parentheses
 *
 * The first row that fits wins. */
#define OPERATIONS(X)                                                                           \
	/* answers of models */                                                                 \
	X(CHAT, "chat", "chat/completions", "POST", API | DEPLOYMENT, CHAT,                     \
		(.streams = true, .asks_usage = true, .stateless = true,                        \
		.usage_excludes_data = true), "a chat completion")                              \
	X(CHAT, "chat", "chat/completions", "POST", MODELS, CHAT, (.streams = true,             \
		.stateless = true), "the same of any model of Foundry")                         \
	X(COMPLETION, "text_completion", "completions", "POST", API | DEPLOYMENT,               \
		COMPLETION, (.streams = true, .asks_usage = true, .stateless = true),           \
		"the older completion")                                                         \
	X(RESPONSES, "responses", "responses", "POST", API | AGENT, RESPONSES,                  \
		(.streams = true), "a response, of a model or of an agent")                     \
	X(RESPONSES_COMPACT, "responses_compact", "responses/compact", "POST",                  \
		API | AGENT, RESPONSES, (.stateless = true),                                    \
		"a conversation made short")                                                    \
	X(MESSAGES, "messages", "v1/messages", "POST", ANTHROPIC, MESSAGES,                     \
		(.streams = true, .stateless = true), "a message of Anthropic's models")        \
	X(EMBEDDINGS, "embeddings", "embeddings", "POST", API | DEPLOYMENT | MODELS,            \
		EMBEDDINGS, (.stateless = true), "vectors of texts")                            \
	X(IMAGE_EMBEDDINGS, "image_embeddings", "images/embeddings", "POST", MODELS,            \
		EMBEDDINGS, (.stateless = true), "vectors of images")                           \
	X(MODERATION, "moderation", "moderations", "POST", API, MODERATION,                     \
		(.counts_only = true, .stateless = true), "a verdict on texts")                 \
	X(TRANSCRIPTION, "transcription", "audio/transcriptions", "POST",                       \
		API | DEPLOYMENT, TRANSCRIPTION, (.streams = true, .form = true,                \
		.stateless = true), "sound as text")                                            \
	X(TRANSLATION, "translation", "audio/translations", "POST", API | DEPLOYMENT,           \
		TRANSCRIPTION, (.form = true, .stateless = true),                               \
		"sound as English text")                                                        \
	X(SPEECH, "speech", "audio/speech", "POST", API | DEPLOYMENT, SPEECH,                   \
		(.streams = true, .stateless = true), "text as sound")                          \
	X(IMAGE_GENERATION, "image_generation", "images/generations", "POST",                   \
		API | DEPLOYMENT | MODELS, IMAGES, (.streams = true, .stateless = true),        \
		"an image of a text")                                                           \
	X(IMAGE_EDIT, "image_edit", "images/edits", "POST", API | DEPLOYMENT | MODELS,          \
		IMAGES, (.streams = true, .form = true, .stateless = true),                     \
		"an image of images")                                                           \
	X(IMAGE_VARIATION, "image_variation", "images/variations", "POST", API, IMAGES,         \
		(.form = true, .stateless = true), "an image like another one")                 \
	X(VIDEOS, "videos", "videos", NULL, API, IMAGES, (.subtree = true,                      \
		.counts_only = true, .form = true),                                             \
		"films, which are made in the background")                                      \
	X(REALTIME_SECRETS, "realtime_client_secrets", "realtime/client_secrets",               \
		"POST", API, ITEMS, (.counts_only = true),                                      \
		"makes a key, with which a client has a session of its own")                    \
	X(REALTIME_CALLS, "realtime_calls", "realtime/calls", NULL, API, NONE,                  \
		(.subtree = true), "a session whose sound goes past the appliance")             \
	X(REALTIME, "realtime", "realtime", NULL, API, NONE, (.subtree = true),                 \
		"a session over WebSocket")                                                     \
	X(LIVE, "live", "live", NULL, API, NONE, (.subtree = true), "likewise")                 \
	/* counts, which are no use of tokens */                                                \
	X(RESPONSES_COUNT, "responses_input_tokens", "responses/input_tokens", "POST",          \
		API | AGENT, RESPONSES, (.counts_only = true, .stateless = true),               \
		"how many tokens a response would take")                                        \
	X(MESSAGES_COUNT, "messages_count_tokens", "v1/messages/count_tokens", "POST",          \
		ANTHROPIC, MESSAGES, (.counts_only = true, .stateless = true),                  \
		"how many tokens a message would take")                                         \
	/* what the service keeps */                                                            \
	X(STORED_CHAT, "stored_chat", "chat/completions", NULL, API, CHAT,                      \
		(.subtree = true, .tells_again = true),                                         \
		"chat completions that were stored")                                            \
	X(STORED_RESPONSE, "stored_response", "responses", NULL, API | AGENT, RESPONSES,        \
		(.subtree = true, .streams = true, .tells_again = true),                        \
		"responses that were stored, or are made in the background")                    \
	X(CONVERSATIONS, "conversations", "conversations", NULL, API | AGENT, ITEMS,            \
		(.subtree = true, .counts_only = true),                                         \
		"conversations that responses belong to")                                       \
	X(ASSISTANTS, "assistants", "assistants", NULL, API | PROJECT, THREADS,                 \
		(.subtree = true, .streams = true, .tells_again = true,                         \
		.model_elsewhere = true), "assistants")                                         \
	X(THREADS, "threads", "threads", NULL, API | PROJECT, THREADS, (.subtree = true,        \
		.streams = true, .tells_again = true, .model_elsewhere = true),                 \
		"their threads, messages and runs")                                             \
	X(FILES, "files", "files", NULL, API | PROJECT, FILES, (.subtree = true,                \
		.form = true, .tells_again = true),                                             \
		"files, also the input and output of batches")                                  \
	X(UPLOADS, "uploads", "uploads", NULL, API, FILES, (.subtree = true,                    \
		.counts_only = true, .form = true, .model_elsewhere = true),                    \
		"files, in parts")                                                              \
	X(BATCHES, "batches", "batches", NULL, API | DEPLOYMENT, JOBS, (.subtree = true,        \
		.tells_again = true, .model_elsewhere = true), "many calls in a file")          \
	X(FINE_TUNING, "fine_tuning", "fine_tuning", NULL, API, JOBS, (.subtree = true,         \
		.counts_only = true, .model_elsewhere = true),                                  \
		"models that are trained")                                                      \
	X(VECTOR_STORES, "vector_stores", "vector_stores", NULL, API | PROJECT, ITEMS,          \
		(.subtree = true, .counts_only = true), "files that are searched")              \
	X(CONTAINERS, "containers", "containers", NULL, API, NONE, (.subtree = true),           \
		"where code of the models runs")                                                \
	X(EVALS, "evals", "evals", NULL, API, NONE, (.subtree = true),                          \
		"tests of models")                                                              \
	X(SKILLS, "skills", "skills", NULL, API, NONE, (.subtree = true),                       \
		"instructions and programs for models")                                         \
	X(MODELS, "models", "models", NULL, API, NONE, (.subtree = true),                       \
		"which models there are")                                                       \
	X(MODEL_INFO, "model_info", "info", "GET", MODELS, NONE, (.stateless = true),           \
		"what a model of Foundry is")                                                   \
	/* end */

#endif
