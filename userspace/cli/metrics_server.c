// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metrics_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/http_service.h"

#define CONNECTIONS_MAX	  256
#define CONNECTION_MEMORY 16384 /* for a request's head */
#define CONNECTION_NS	  (60 * NS_PER_S) /* in all, however it trickles */
#define DOCUMENT_NS	  NS_PER_S

struct metrics_server {
	struct http_service *http;
	struct metrics_document what;
	struct MHD_Response *document, *not_found, *not_allowed, *failed;
	unsigned status;
	uint64_t document_ns; /* when it was made */
};

static struct MHD_Response *response_of(void *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);

	/* A connection is for one request: idle ones would take the places of others. */
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static struct MHD_Response *response_static(const char *text)
{
	struct MHD_Response *response =
		response_of((void *)(uintptr_t)text, strlen(text), MHD_RESPMEM_PERSISTENT);

	if (response)
		MHD_add_response_header(
			response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	return response;
}

/* The document, anew when it is older than a second. NULL: it cannot be made. */
static struct MHD_Response *document_get(struct metrics_server *server)
{
	uint64_t now = clock_monotonic_ns();
	struct why why = {""};
	char *text = NULL;
	size_t len = 0;
	int status;

	if (server->document && now - server->document_ns < DOCUMENT_NS)
		return server->document;
	if (server->document)
		MHD_destroy_response(server->document);
	server->document = NULL;
	status = server->what.make(server->what.context, &text, &len, &why);
	if (status < 0) {
		log_warning("%s: %s", server->what.path, why.text);
		return NULL;
	}
	server->status = (unsigned)status;
	server->document = response_of(text, len, MHD_RESPMEM_MUST_FREE);
	if (server->document) {
		MHD_add_response_header(
			server->document, MHD_HTTP_HEADER_CONTENT_TYPE, server->what.type);
		server->document_ns = clock_monotonic_ns();
	}
	return server->document;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *len, void **seen)
{
	struct metrics_server *server = context;
	struct MHD_Response *document;

	(void)version;
	(void)data;
	(void)len;
	(void)seen;
	/* Answered at the head: a body is not waited for. */
	if (strcmp(url, server->what.path) != 0)
		return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, server->not_found);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return MHD_queue_response(
			connection, MHD_HTTP_METHOD_NOT_ALLOWED, server->not_allowed);
	document = document_get(server);
	if (!document)
		return MHD_queue_response(
			connection, MHD_HTTP_INTERNAL_SERVER_ERROR, server->failed);
	return MHD_queue_response(connection, server->status, document);
}

static bool responses_make(struct metrics_server *server)
{
	server->not_found = response_static(strcmp(server->what.path, "/metrics") == 0
						     ? "Not found. The metrics are at /metrics.\n"
						     : "Not found.\n");
	server->not_allowed = response_static("Only GET and HEAD.\n");
	server->failed = response_static("The kernel cannot be asked; the log tells why.\n");
	return server->not_found && server->failed && server->not_allowed &&
	       MHD_add_response_header(server->not_allowed, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") ==
		       MHD_YES;
}

struct metrics_server *metrics_server_new(struct ev_loop *loop, const struct address_port *address,
	const struct metrics_document *document, struct why *why)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	struct http_service_options options = {.loop = loop,
		.connections = CONNECTIONS_MAX,
		.memory = CONNECTION_MEMORY,
		.connection_ns = CONNECTION_NS,
		.newest_first = true,
		.answer = answer,
		.context = server};

	options.fd = server ? http_service_listen(address, why) : why_set(why, ENOMEM, "no memory");
	if (options.fd < 0) {
		free(server);
		return NULL;
	}
	server->what = *document;
	server->http = http_service_new(&options, why);
	if (server->http && responses_make(server))
		return server;
	if (server->http)
		why_set(why, ENOMEM, "no memory");
	metrics_server_free(server);
	return NULL;
}

void metrics_server_free(struct metrics_server *server)
{
	struct MHD_Response *responses[4];

	if (!server)
		return;
	http_service_free(server->http);
	responses[0] = server->document;
	responses[1] = server->not_found;
	responses[2] = server->not_allowed;
	responses[3] = server->failed;
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		if (responses[i])
			MHD_destroy_response(responses[i]);
	free(server);
}
