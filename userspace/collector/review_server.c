// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/review_server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "collector/local_socket.h"
#include "collector/web_files.h"
#include "io/http_service.h"

#define REVIEW_CONNECTIONS 48
#define REVIEW_MEMORY	   32768
#define REVIEW_NS	   (60 * NS_PER_S)
#define REVIEW_COOKIE	   "sallyport_session"
#define REVIEW_API	   "/api/"

/* What any answer tells the browser: nothing of another host, no script and no style that is not ours,
 * and no text becomes markup. */
static const struct {
	const char *name, *value;
} review_headers[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
		"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
		"require-trusted-types-for 'script'; trusted-types 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
};

struct review_server {
	struct review_options options;
	struct api *api;
	struct sessions *sessions;
	struct http_service *page, *local;
	char hosts[3][80]; /* what a browser calls us */
};

/* ---- answers ---- */

/* Queues the answer and lets go of it. */
static enum MHD_Result review_queue(
	struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
	const char *type, const char *cache)
{
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(review_headers) / sizeof(review_headers[0]); i++)
		MHD_add_response_header(response, review_headers[i].name, review_headers[i].value);
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
		MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, cache) == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *review_response(struct slice text)
{
	return MHD_create_response_from_buffer(
		text.len, (void *)(uintptr_t)text.data, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result review_json(
	struct MHD_Connection *connection, unsigned status, struct slice json)
{
	return review_queue(connection, status, review_response(json),
		"application/json; charset=utf-8", "no-store");
}

static enum MHD_Result review_error(
	struct MHD_Connection *connection, unsigned status, const char *what)
{
	char json[256];
	int len = snprintf(json, sizeof(json), "{\"error\":\"%s\"}", what);

	return review_json(connection, status, slice_of(json, (size_t)len));
}

/* ---- files ---- */

/* A path that is no file is a place of the page, which finds out which. */
static enum MHD_Result review_file(struct MHD_Connection *connection, const char *path)
{
	const struct web_file *file = NULL;

	for (size_t i = 0; i < web_nfiles; i++)
		if (strcmp(web_files[i].path, path) == 0 ||
			(!file && !strchr(path, '.') && strcmp(web_files[i].path, "/") == 0))
			file = &web_files[i];
	if (!file)
		return review_error(connection, MHD_HTTP_NOT_FOUND, "there is no such file");
	return review_queue(connection, MHD_HTTP_OK,
		MHD_create_response_from_buffer(file->len, (void *)(uintptr_t)file->data,
			MHD_RESPMEM_PERSISTENT),
		file->type, file->hashed ? "private, max-age=31536000, immutable" : "no-store");
}

/* ---- questions ---- */

static enum MHD_Result review_parameter(void *context, enum MHD_ValueKind kind, const char *name,
	size_t name_len, const char *value, size_t value_len)
{
	struct api_call *call = context;

	(void)kind;
	/* More than fit, or with a NUL inside: no question of the page's. */
	if (call->n == API_PARAMETERS || !value || strlen(name) != name_len ||
		strlen(value) != value_len) {
		call->n = API_PARAMETERS + 1;
		return MHD_NO;
	}
	call->parameters[call->n].name = name;
	call->parameters[call->n++].value = value;
	return MHD_YES;
}

static enum MHD_Result review_ask(
	struct review_server *server, struct MHD_Connection *connection, struct api_call *call)
{
	struct buf json = BUF_EMPTY;
	enum MHD_Result result;
	unsigned status;

	MHD_get_connection_values_n(
		connection, MHD_GET_ARGUMENT_KIND, review_parameter, call);
	if (call->n > API_PARAMETERS)
		return review_error(
			connection, MHD_HTTP_BAD_REQUEST, "parameters that are too many or broken");
	status = api_answer(server->api, call, &json);
	result = review_json(connection, status, buf_slice(&json));
	buf_wipe(&json);
	return result;
}

static struct slice review_header(struct MHD_Connection *connection, const char *name)
{
	return slice_of_string(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

/* ---- browsers ---- */

/* Another site may lead a browser here, by a name of its own that it made point to this machine, or
 * by a page whose scripts ask: both are refused. */
static bool review_is_ours(const struct review_server *server, struct MHD_Connection *connection)
{
	struct slice host = review_header(connection, MHD_HTTP_HEADER_HOST),
		     origin = review_header(connection, MHD_HTTP_HEADER_ORIGIN);
	bool known = false;

	for (size_t i = 0; i < 3; i++)
		known = known || slice_equal(host, slice_of_string(server->hosts[i]));
	return known &&
	       (!origin.len ||
		       (slice_starts_with(origin, SLICE("http://")) &&
			       slice_equal(slice_after(origin, 7), host)));
}

/* Of a question: whether the page itself asked it. */
static bool review_is_page(struct MHD_Connection *connection)
{
	struct slice site = review_header(connection, "Sec-Fetch-Site");

	return !site.len || slice_equal(site, SLICE("same-origin"));
}

static enum MHD_Result review_enter(
	struct review_server *server, struct MHD_Connection *connection)
{
	const struct session *session = sessions_enter(server->sessions,
		review_header(connection, "X-Sallyport-Link"), clock_monotonic_ns());
	struct MHD_Response *response;
	char text[256];
	int len;

	if (!review_header(connection, MHD_HTTP_HEADER_ORIGIN).len)
		return review_error(connection, MHD_HTTP_FORBIDDEN, "only the page may do this");
	if (!session)
		return review_error(connection, MHD_HTTP_UNAUTHORIZED,
			"this link was used, or is too old: sallyport review prints another");
	log_info("%s began to review as %s", session->name, role_name(session->role));
	len = snprintf(text, sizeof(text), "{\"key\":\"%s\"}", session->key);
	response = review_response(slice_of(text, (size_t)len));
	snprintf(text, sizeof(text),
		REVIEW_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200",
		session->cookie);
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, text);
	return review_queue(connection, MHD_HTTP_OK, response, "application/json; charset=utf-8",
		"no-store");
}

static enum MHD_Result review_api(struct review_server *server,
	struct MHD_Connection *connection, const char *name, const char *method)
{
	const struct session *session = sessions_find(server->sessions,
		slice_of_string(MHD_lookup_connection_value(
			connection, MHD_COOKIE_KIND, REVIEW_COOKIE)),
		review_header(connection, "X-Sallyport-Key"), clock_monotonic_ns());
	struct api_call call = {.name = name, .by = "page"};

	if (!review_is_page(connection))
		return review_error(connection, MHD_HTTP_FORBIDDEN, "asked by another site");
	if (strcmp(name, "session") == 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0)
		return review_enter(server, connection);
	if (!session)
		return review_error(connection, MHD_HTTP_UNAUTHORIZED,
			"no session: sallyport review prints a link that begins one");
	if (strcmp(name, "session") == 0 && strcmp(method, MHD_HTTP_METHOD_DELETE) == 0) {
		sessions_end(server->sessions, session);
		return review_json(connection, MHD_HTTP_OK, SLICE("{}"));
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return review_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET");
	call.who = session->name;
	call.role = session->role;
	return review_ask(server, connection, &call);
}

static enum MHD_Result review_answer_page(void *context, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data, size_t *len,
	void **seen)
{
	struct review_server *server = context;

	(void)version;
	(void)data;
	(void)len;
	(void)seen;
	/* Answered at the head: no question has a body. */
	if (!review_is_ours(server, connection))
		return review_error(connection, MHD_HTTP_MISDIRECTED_REQUEST,
			"called by another name, or by another site");
	if (strncmp(url, REVIEW_API, strlen(REVIEW_API)) == 0)
		return review_api(server, connection, url + strlen(REVIEW_API), method);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return review_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
	return review_file(connection, url);
}

/* ---- the socket ---- */

/* The user at the other end. */
static enum role review_peer(const struct review_server *server, struct MHD_Connection *connection,
	char name[SESSION_NAME])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	const struct passwd *entry;

	if (!info ||
		getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return ROLE_NONE;
	entry = getpwuid(peer.uid);
	if (entry)
		snprintf(name, SESSION_NAME, "%s", entry->pw_name);
	else
		snprintf(name, SESSION_NAME, "%u", peer.uid);
	if (peer.uid == 0 || peer.uid == geteuid())
		return ROLE_REVIEWER;
	for (size_t i = 0; i < server->options.nusers; i++)
		if (server->options.users[i].uid == peer.uid)
			return server->options.users[i].role;
	return ROLE_NONE;
}

/* A link for that user, with no more than he may see. */
static enum MHD_Result review_link(struct review_server *server,
	struct MHD_Connection *connection, const char *name, enum role role)
{
	const char *wanted =
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "role");
	enum role narrower = wanted ? role_of(slice_of_string(wanted)) : role;
	char link[SESSION_SECRET], json[256];
	int len;

	if (narrower == ROLE_NONE)
		return review_error(
			connection, MHD_HTTP_BAD_REQUEST, "role: expected operator or reviewer");
	if (narrower > role)
		return review_error(connection, MHD_HTTP_FORBIDDEN,
			"this user is an operator: see --reviewer of sallyport-collector");
	if (sessions_link(server->sessions, name, narrower, clock_monotonic_ns(), link) < 0)
		return review_error(
			connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "there is no randomness");
	len = snprintf(json, sizeof(json), "{\"url\":\"http://%s/#link=%s\",\"role\":\"%s\"}",
		server->hosts[0], link, role_name(narrower));
	return review_json(connection, MHD_HTTP_OK, slice_of(json, (size_t)len));
}

static enum MHD_Result review_answer_local(void *context, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data, size_t *len,
	void **seen)
{
	struct review_server *server = context;
	char name[SESSION_NAME];
	struct api_call call = {.by = "socket", .who = name};

	(void)version;
	(void)data;
	(void)len;
	(void)seen;
	call.role = review_peer(server, connection, name);
	if (call.role == ROLE_NONE)
		return review_error(connection, MHD_HTTP_FORBIDDEN,
			"this user may not ask: see --reviewer and --operator of "
			"sallyport-collector");
	if (strncmp(url, REVIEW_API, strlen(REVIEW_API)) != 0)
		return review_error(connection, MHD_HTTP_NOT_FOUND, "questions are below /api/");
	call.name = url + strlen(REVIEW_API);
	if (strcmp(call.name, "link") == 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0)
		return review_link(server, connection, name, call.role);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return review_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET");
	return review_ask(server, connection, &call);
}

/* ---- the server ---- */

static struct http_service *review_serve(struct review_server *server, int fd,
	MHD_AccessHandlerCallback answer, struct why *why)
{
	const struct http_service_options options = {.loop = server->options.loop,
		.fd = fd,
		.connections = REVIEW_CONNECTIONS,
		.memory = REVIEW_MEMORY,
		.connection_ns = REVIEW_NS,
		.answer = answer,
		.context = server};

	return fd < 0 ? NULL : http_service_new(&options, why);
}

struct review_server *review_server_new(const struct review_options *options, struct why *why)
{
	struct review_server *server = calloc(1, sizeof(*server));
	const struct address_port *listen = options->listen;

	if (!server || !(server->sessions = sessions_new())) {
		why_set(why, ENOMEM, "out of memory");
		goto failed;
	}
	server->options = *options;
	snprintf(server->hosts[0], sizeof(server->hosts[0]), "%s",
		address_port_format(listen).text);
	snprintf(server->hosts[1], sizeof(server->hosts[1]), "localhost:%u", listen->port);
	snprintf(server->hosts[2], sizeof(server->hosts[2]), "127.0.0.1:%u", listen->port);
	server->api = api_new(&options->api, why);
	if (server->api)
		server->page = review_serve(
			server, http_service_listen(listen, why), review_answer_page, why);
	if (server->page)
		server->local = review_serve(server, local_socket_listen(options->socket, why),
			review_answer_local, why);
	if (server->local)
		return server;
failed:
	review_server_free(server);
	return NULL;
}

void review_server_free(struct review_server *server)
{
	if (!server)
		return;
	http_service_free(server->page);
	if (server->local) {
		http_service_free(server->local);
		unlink(server->options.socket);
	}
	api_free(server->api);
	sessions_free(server->sessions);
	free(server);
}

static void review_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

int review_run(struct review_options *options)
{
	struct ev_signal interrupted, terminated;
	struct review_server *server;
	struct why why = {""};

	options->loop = ev_default_loop(0);
	server = review_server_new(options, &why);
	if (!server) {
		log_error("%s", why.text);
		return EXIT_FAILURE;
	}
	ev_signal_init(&interrupted, review_stop, SIGINT);
	ev_signal_init(&terminated, review_stop, SIGTERM);
	ev_signal_start(options->loop, &interrupted);
	ev_signal_start(options->loop, &terminated);
	log_info("what is stored is shown on http://%s: sallyport review prints a link",
		server->hosts[0]);
	ev_run(options->loop, 0);
	review_server_free(server);
	return EXIT_SUCCESS;
}
