// SPDX-License-Identifier: GPL-2.0-or-later
/* The load that wrk cannot make: streams measured to their first byte, full and resumed handshakes,
 * connections that stay idle. Prints one JSON object of what it measured. */
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "samples.h"

#define PLACES_MAX 8
#define OPENING	   64 /* idle connections that are being opened at a time */
#define READ_SIZE  65536

static const char usage[] =
	"usage: load --connect ADDRESS:PORT [--connect …] --name HOST --request FILE\n"
	"  --source ADDRESS    bind to it (repeat: connections take turns)\n"
	"  --connections N     at a time (32)\n"
	"  --seconds N         how long (5)\n"
	"  --each N            requests on each connection instead, however long it takes\n"
	"  --mode MODE         requests: one after the other on each connection; full, resumed: "
	"each\n"
	"                      on a new connection; idle: one on each, then silence until SIGTERM\n"
	"The file holds one whole request.\n";

enum mode { MODE_REQUESTS, MODE_FULL, MODE_RESUMED, MODE_IDLE };

struct load {
	struct ev_loop *loop;
	SSL_CTX *context;
	const char *name;
	struct address_port connect[PLACES_MAX], source[PLACES_MAX];
	size_t nconnect, nsource;
	struct buf request;
	unsigned connections, opened, holding, each, ended;
	double seconds;
	enum mode mode;
	bool ending;
	/* measured */
	uint64_t requests, resumed, bytes, errors;
	struct samples first_byte, total; /* of a request, from its sending; with a handshake mode
					   * from the connect */
	struct samples gap;		  /* between two pieces of one body */
};

struct connection {
	struct load *load;
	unsigned index;
	int fd;
	SSL *ssl;
	SSL_SESSION *session;
	ev_io io;
	enum { AT_CONNECT, AT_HANDSHAKE, AT_SEND, AT_HEAD, AT_BODY, AT_IDLE } at;
	struct buf in;
	size_t sent;
	uint64_t started_ns, piece_ns; /* piece_ns: of the last piece of the response */
	unsigned done;		       /* requests */
	bool chunked;
	uint64_t left; /* of the body or chunk */
	bool in_chunk;
};

static void connection_start(struct connection *c);
static void connection_run(struct connection *c);

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct connection *c = SSL_get_app_data(ssl);

	if (c->load->mode != MODE_RESUMED)
		return 0;
	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static void connection_end(struct connection *c)
{
	ev_io_stop(c->load->loop, &c->io);
	if (c->ssl) {
		SSL_set_quiet_shutdown(c->ssl, 1); /* keeps the session good without waiting */
		SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
	}
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_clear(&c->in);
}

static void connection_fail(struct connection *c)
{
	struct load *load = c->load;

	connection_end(c);
	ERR_clear_error();
	if (load->ending)
		return;
	/* Every failure counts; a proxy that refuses everything must not be hammered for ever. */
	if (++load->errors > 100000)
		ev_break(load->loop, EVBREAK_ALL);
	else
		connection_start(c);
}

static void watch(struct connection *c, int events)
{
	if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(c->load->loop, &c->io);
	ev_io_set(&c->io, c->fd, events);
	ev_io_start(c->load->loop, &c->io);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	connection_run(io->data);
}

static bool connection_socket(struct connection *c)
{
	struct load *load = c->load;
	struct sockaddr_storage name;
	socklen_t len;
	int on = 1;

	len = address_port_to_sockaddr(&load->connect[c->index % load->nconnect], &name);
	c->fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return false;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (load->nsource) {
		struct sockaddr_storage from;
		socklen_t from_len =
			address_port_to_sockaddr(&load->source[c->index % load->nsource], &from);

		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(c->fd, (void *)&from, from_len))
			return false;
	}
	return !connect(c->fd, (void *)&name, len) || errno == EINPROGRESS;
}

static void connection_start(struct connection *c)
{
	c->started_ns = clock_monotonic_ns();
	c->at = AT_CONNECT;
	c->sent = 0;
	c->ssl = SSL_new(c->load->context);
	if (!c->ssl || !connection_socket(c)) {
		perror("load: connect");
		exit(1);
	}
	SSL_set_app_data(c->ssl, c);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_tlsext_host_name(c->ssl, c->load->name);
	SSL_set_connect_state(c->ssl);
	if (c->session)
		SSL_set_session(c->ssl, c->session);
	ev_io_init(&c->io, on_io, c->fd, EV_WRITE);
	c->io.data = c;
	ev_io_start(c->load->loop, &c->io);
}

/* True when the call can go on; else it waits, or the connection has failed. */
static bool moved(struct connection *c, int n)
{
	if (n > 0)
		return true;
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		watch(c, EV_READ);
		return false;
	case SSL_ERROR_WANT_WRITE:
		watch(c, EV_WRITE);
		return false;
	default:
		connection_fail(c);
		return false;
	}
}

/* Reads the framing of a response head; false: not one that we can measure. */
static bool read_head(struct connection *c, struct slice head)
{
	char *text = strndup(head.data, head.len);
	const char *length, *chunked;
	bool good;

	if (!text)
		return false;
	length = strcasestr(text, "\r\ncontent-length:");
	chunked = strcasestr(text, "\r\ntransfer-encoding: chunked");
	good = strncmp(text, "HTTP/1.1 200", 12) == 0 && (length || chunked);
	c->chunked = chunked != NULL;
	c->in_chunk = false;
	c->left = length && !chunked ? strtoull(length + 17, NULL, 10) : 0;
	if (!good)
		fprintf(stderr, "load: unexpected response: %.200s\n", text);
	free(text);
	return good;
}

/* Consumes what is there of a chunked body; 1 at its end, 0 more is needed, -1 malformed. */
static int skip_chunks(struct connection *c)
{
	for (;;) {
		struct slice in = buf_slice(&c->in);

		if (c->in_chunk) {
			size_t n = in.len < c->left ? in.len : (size_t)c->left;

			buf_consume(&c->in, n);
			c->left -= n;
			if (c->left)
				return 0;
			c->in_chunk = false;
			continue;
		}
		const char *end = in.len ? memmem(in.data, in.len, "\r\n", 2) : NULL;

		if (!end)
			return in.len > 64 ? -1 : 0;
		c->left = strtoull(in.data, NULL, 16);
		if (!c->left) {
			if (in.len < (size_t)(end - in.data) + 4)
				return 0;
			buf_consume(&c->in, (size_t)(end - in.data) + 4); /* no trailers */
			return 1;
		}
		buf_consume(&c->in, (size_t)(end - in.data) + 2);
		c->left += 2; /* the line end behind the data */
		c->in_chunk = true;
	}
}

static int skip_body(struct connection *c)
{
	size_t n = buf_len(&c->in);

	if (c->chunked)
		return skip_chunks(c);
	if (n > c->left)
		return -1;
	buf_consume(&c->in, n);
	c->left -= n;
	return c->left == 0;
}

static uint32_t elapsed_us(const struct connection *c)
{
	return (uint32_t)((clock_monotonic_ns() - c->started_ns) / 1000);
}

static void hold(struct connection *c)
{
	struct load *load = c->load;

	c->at = AT_IDLE;
	load->holding++;
	watch(c, EV_READ);
	if (load->holding == load->connections) {
		puts("holding");
		fflush(stdout);
	}
	if (load->opened < load->connections)
		connection_start(&((c - c->index)[load->opened++]));
}

static void response_done(struct connection *c)
{
	struct load *load = c->load;

	load->requests++;
	samples_add(&load->total, elapsed_us(c));
	switch (load->mode) {
	case MODE_REQUESTS:
		if (load->each && ++c->done == load->each) {
			connection_end(c);
			if (++load->ended == load->connections)
				ev_break(load->loop, EVBREAK_ALL);
			return;
		}
		c->at = AT_SEND;
		c->sent = 0;
		c->started_ns = clock_monotonic_ns();
		return;
	case MODE_IDLE:
		hold(c);
		return;
	default:
		connection_end(c);
		if (!load->ending)
			connection_start(c);
	}
}

/* A piece of the response has come. */
static void time_piece(struct connection *c)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (c->at == AT_BODY)
		samples_add(&c->load->gap, (uint32_t)((now_ns - c->piece_ns) / 1000));
	c->piece_ns = now_ns;
}

static void receive(struct connection *c)
{
	struct load *load = c->load;
	char *to = buf_reserve(&c->in, READ_SIZE);
	const char *end;
	int n, done;

	if (!to)
		abort();
	ERR_clear_error();
	n = SSL_read(c->ssl, to, READ_SIZE);
	if (!moved(c, n))
		return;
	buf_commit(&c->in, (size_t)n);
	load->bytes += (uint64_t)n;
	time_piece(c);
	if (c->at == AT_HEAD) {
		end = memmem(buf_slice(&c->in).data, buf_len(&c->in), "\r\n\r\n", 4);
		if (!end)
			return;
		n = (int)(end - buf_slice(&c->in).data) + 4;
		if (!read_head(c, slice_first(buf_slice(&c->in), (size_t)n))) {
			connection_fail(c);
			return;
		}
		buf_consume(&c->in, (size_t)n);
		samples_add(&load->first_byte, elapsed_us(c));
		c->at = AT_BODY;
	}
	done = skip_body(c);
	if (done < 0)
		connection_fail(c);
	else if (done)
		response_done(c);
}

static void transmit(struct connection *c)
{
	struct slice rest = slice_after(buf_slice(&c->load->request), c->sent);
	int n;

	ERR_clear_error();
	n = SSL_write(c->ssl, rest.data, (int)rest.len);
	if (!moved(c, n))
		return;
	c->sent += (size_t)n;
	if (c->sent == buf_len(&c->load->request)) {
		c->at = AT_HEAD;
		watch(c, EV_READ);
	}
}

static void shake(struct connection *c)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(c->ssl);
	if (!moved(c, n))
		return;
	c->load->resumed += (uint64_t)SSL_session_reused(c->ssl);
	c->at = AT_SEND;
	if (c->load->mode == MODE_REQUESTS)
		c->started_ns = clock_monotonic_ns();
}

/* Goes on until it has to wait; ends at once when the connection was replaced or released. */
static void connection_run(struct connection *c)
{
	const SSL *ssl = c->ssl;
	int waits;

	do {
		int before = (int)c->at;
		size_t had = buf_len(&c->in);

		switch (c->at) {
		case AT_CONNECT:
			c->at = AT_HANDSHAKE;
			break;
		case AT_HANDSHAKE:
			shake(c);
			break;
		case AT_SEND:
			transmit(c);
			break;
		case AT_IDLE:
			connection_fail(c); /* whatever comes now: it was to be silent */
			return;
		default:
			receive(c);
		}
		waits = before == (int)c->at && (c->at < AT_HEAD || had == buf_len(&c->in));
	} while (c->ssl == ssl && !waits && c->at != AT_IDLE);
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static bool take_mode(struct load *load, const char *text)
{
	static const char *const names[] = {"requests", "full", "resumed", "idle"};

	for (unsigned i = 0; i < 4; i++)
		if (strcmp(text, names[i]) == 0) {
			load->mode = (enum mode)i;
			return true;
		}
	return false;
}

static bool take_option(struct load *load, int option, const char *value)
{
	struct why why;

	switch (option) {
	case 'c':
		return load->nconnect < PLACES_MAX &&
		       !address_port_parse(value, &load->connect[load->nconnect++]);
	case 's':
		return load->nsource < PLACES_MAX &&
		       !address_parse(value, &load->source[load->nsource++].address);
	case 'n':
		load->name = value;
		return true;
	case 'r':
		return file_read(value, 1 << 24, &load->request, &why) == 0;
	case 'N':
		load->connections = (unsigned)strtoul(value, NULL, 10);
		return load->connections > 0;
	case 'S':
		load->seconds = strtod(value, NULL);
		return load->seconds > 0;
	case 'e':
		load->each = (unsigned)strtoul(value, NULL, 10);
		return load->each > 0;
	case 'm':
		return take_mode(load, value);
	default:
		return false;
	}
}

static bool read_options(int argc, char **argv, struct load *load)
{
	static const struct option names[] = {
		{"connect", required_argument, NULL, 'c'},
		{"source", required_argument, NULL, 's'},
		{"name", required_argument, NULL, 'n'},
		{"request", required_argument, NULL, 'r'},
		{"connections", required_argument, NULL, 'N'},
		{"seconds", required_argument, NULL, 'S'},
		{"each", required_argument, NULL, 'e'},
		{"mode", required_argument, NULL, 'm'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!take_option(load, option, optarg))
			return false;
	return optind == argc && load->nconnect && load->name && buf_len(&load->request);
}

static void report(struct load *load, double seconds)
{
	printf("{\"requests\":%llu,\"seconds\":%.3f,\"errors\":%llu,\"resumed\":%llu,\"bytes\":%"
	       "llu,"
	       "\"p50\":%u,\"p99\":%u,\"first_p50\":%u,\"first_p99\":%u,\"gap_p50\":%u,"
	       "\"gap_p99\":%u}\n",
		(unsigned long long)load->requests, seconds, (unsigned long long)load->errors,
		(unsigned long long)load->resumed, (unsigned long long)load->bytes,
		samples_percentile(&load->total, 50), samples_percentile(&load->total, 99),
		samples_percentile(&load->first_byte, 50),
		samples_percentile(&load->first_byte, 99), samples_percentile(&load->gap, 50),
		samples_percentile(&load->gap, 99));
}

int main(int argc, char **argv)
{
	struct load load = {.loop = ev_default_loop(0), .connections = 32, .seconds = 5};
	struct connection *connections;
	ev_timer end;
	ev_signal stop;
	uint64_t started;

	if (!read_options(argc, argv, &load)) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	load.context = SSL_CTX_new(TLS_client_method());
	connections = calloc(load.connections, sizeof(*connections));
	if (!load.context || !connections)
		return 1;
	SSL_CTX_set_mode(load.context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(
		load.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(load.context, keep_session);
	started = clock_monotonic_ns();
	load.opened = load.connections;
	if (load.mode == MODE_IDLE && load.opened > OPENING)
		load.opened = OPENING;
	for (unsigned i = 0; i < load.connections; i++) {
		connections[i] = (struct connection){.load = &load, .index = i, .fd = -1};
		if (i < load.opened)
			connection_start(&connections[i]);
	}
	ev_timer_init(&end, on_end, load.seconds, 0.0);
	if (load.mode != MODE_IDLE && !load.each)
		ev_timer_start(load.loop, &end);
	ev_signal_init(&stop, on_signal, SIGTERM);
	ev_signal_start(load.loop, &stop);
	ev_run(load.loop, 0);
	load.ending = true;
	report(&load, (double)(clock_monotonic_ns() - started) / 1e9);
	return 0;
}
