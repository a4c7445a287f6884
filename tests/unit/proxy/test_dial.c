// SPDX-License-Identifier: GPL-2.0-or-later
/* A proxy that answers CONNECT well, badly, in pieces and never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/dial.h"

#define ASKED "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
#define GOOD  "HTTP/1.1 200 Connection established\r\n\r\n"

struct scene {
	struct ev_loop *loop;
	int listener, peer; /* the proxy's */
	struct address_port proxy;
	ev_io accepting, reading;
	char asked[512];
	size_t len;
	const char *answer;
	size_t answer_len, piece; /* bytes at a time; 0: all */
	ev_timer writing;
	/* what came of it */
	unsigned told;
	int fd;
	struct why why;
};

static void write_on(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct scene *s = timer->data;
	size_t n = s->piece && s->piece < s->answer_len ? s->piece : s->answer_len;

	(void)events;
	if (send(s->peer, s->answer, n, MSG_NOSIGNAL) != (ssize_t)n)
		n = s->answer_len; /* it left */
	s->answer += n;
	s->answer_len -= n;
	if (!s->answer_len)
		ev_timer_stop(loop, timer);
}

static void read_on(struct ev_loop *loop, ev_io *io, int events)
{
	struct scene *s = io->data;
	ssize_t got = recv(s->peer, s->asked + s->len, sizeof(s->asked) - 1 - s->len, 0);

	(void)events;
	if (got <= 0) {
		ev_io_stop(loop, io);
		return;
	}
	s->len += (size_t)got;
	if (!strstr(s->asked, "\r\n\r\n"))
		return;
	if (!s->answer) {
		close(s->peer);
		s->peer = -1;
		ev_io_stop(loop, io);
	} else if (s->answer_len) {
		ev_timer_start(loop, &s->writing);
	}
}

static void accept_one(struct ev_loop *loop, ev_io *io, int events)
{
	struct scene *s = io->data;

	(void)events;
	s->peer = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(s->peer >= 0);
	ev_io_stop(loop, io);
	ev_io_init(&s->reading, read_on, s->peer, EV_READ);
	s->reading.data = s;
	ev_io_start(loop, &s->reading);
}

static void done(void *user, int fd, const struct why *why)
{
	struct scene *s = user;

	s->told++;
	s->fd = fd;
	if (why)
		s->why = *why;
	ev_break(s->loop, EVBREAK_ALL);
}

static void scene_open(struct scene *s, const char *answer, size_t len, size_t piece)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*s = (struct scene){.answer = answer, .answer_len = len, .piece = piece, .peer = -1, .fd = -1};
	s->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
	address_port_from_sockaddr(&s->proxy, (struct sockaddr *)&address);
	ev_io_init(&s->accepting, accept_one, s->listener, EV_READ);
	ev_timer_init(&s->writing, write_on, 0., .0001);
	s->accepting.data = s->writing.data = s;
	ev_io_start(s->loop, &s->accepting);
}

static struct dial *scene_dial(struct scene *s)
{
	static const struct config_tcp tcp = {.keepalive_idle_ns = 60000000000,
		.keepalive_interval_ns = 15000000000,
		.keepalive_probes = 4};
	struct dial *dial = dial_start(s->loop, &s->proxy, &tcp, "a.example", 443, done, s, &s->why);

	assert_non_null(dial);
	assert_int_equal(s->told, 0);
	return dial;
}

static void scene_close(struct scene *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->peer >= 0)
		close(s->peer);
	close(s->listener);
	ev_loop_destroy(s->loop);
}

static void expect(const char *answer, size_t len, size_t piece, const char *problem)
{
	struct scene s;

	scene_open(&s, answer, len, piece);
	scene_dial(&s);
	ev_run(s.loop, 0);
	assert_int_equal(s.told, 1);
	assert_string_equal(s.asked, ASKED);
	if (problem && (s.fd >= 0 || !strstr(s.why.text, problem)))
		fail_msg("%s: %d, %s", problem, s.fd, s.why.text);
	if (!problem && s.fd < 0)
		fail_msg("%.60s: %s", answer, s.why.text);
	scene_close(&s);
}

static void a_proxy_that_connects(void **state)
{
	static const char *const answers[] = {GOOD, "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 204\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" GOOD, "HTTP/1.1 103 x\r\na: b\r\n\r\nHTTP/1.1 102 y\r\n\r\n" GOOD,
		"HTTP/1.1 200 OK\r\nVia: 1.1 x\r\nContent-Length: 7\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (size_t piece = 0; piece < 3; piece++)
			expect(answers[i], strlen(answers[i]), piece, NULL);
}

static void a_proxy_that_does_not(void **state)
{
	static const struct {
		const char *answer, *problem;
	} cases[] = {
		{"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it answered 407"},
		{"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "it answered 302"},
		{"HTTP/2 200\r\n\r\n", "its answer is no HTTP"},
		{"HTTP/1.1 2000 OK\r\n\r\n", "its answer is no HTTP"},
		{"HTTP/1.1 20 OK\r\n\r\n", "its answer is no HTTP"},
		{"HTTP/1.1 -20 OK\r\n\r\n", "its answer is no HTTP"},
		{"SSH-2.0-x\r\n\r\n", "its answer is no HTTP"},
		{GOOD "\x16\x03\x03", "it said more than that it is connected"},
		{GOOD GOOD, "it said more than that it is connected"},
	};
	char *lengthy = malloc(DIAL_HEAD_MAX + 1);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].answer, strlen(cases[i].answer), 0, cases[i].problem);
	expect("HTTP/1.1 200 \0OK\r\n\r\n", 20, 0, "its answer is no HTTP");
	expect(NULL, 0, 0, "it closed");
	memset(lengthy, 'x', DIAL_HEAD_MAX + 1);
	memcpy(lengthy, "HTTP/1.1 200 OK\r\n", 17);
	expect(lengthy, DIAL_HEAD_MAX + 1, 0, "its answer is too long");
	free(lengthy);
}

static void nobody_is_there(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, GOOD, strlen(GOOD), 0);
	close(s.listener);
	ev_io_stop(s.loop, &s.accepting);
	scene_dial(&s);
	ev_run(s.loop, 0);
	assert_int_equal(s.fd, -ECONNREFUSED);
	s.fd = -1;
	s.listener = dup(0);
	scene_close(&s);
}

/* In every state: before it is connected, while it waits, and with half an answer. */
static void it_is_given_up(void **state)
{
	static const char *const answers[] = {"", "HTTP/1.1 20"};

	(void)state;
	for (int turns = 0; turns < 4; turns++)
		for (int i = 0; i < 2; i++) {
			struct scene s;
			struct dial *dial;

			scene_open(&s, answers[i], strlen(answers[i]), 0);
			dial = scene_dial(&s);
			for (int turn = 0; turn < turns; turn++)
				ev_run(s.loop, EVRUN_ONCE | EVRUN_NOWAIT);
			dial_cancel(dial);
			assert_int_equal(s.told, 0);
			scene_close(&s);
		}
	dial_cancel(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxy_that_connects),
		cmocka_unit_test(a_proxy_that_does_not),
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(it_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
