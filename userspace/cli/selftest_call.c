// SPDX-License-Identifier: GPL-2.0-or-later
/* A call as a client makes it, by the kernel's whole way: a client in a network namespace of its own
 * sends, its packets are put in where those of the inside interface come in, and what it gets must
 * be a certificate of the appliance's authority. No request is made: nothing leaves for an origin.
 *
 *	client  sp-test1 === sp-test0  ingress → ingress of the inside: steer, select, worker
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/selftest_check.h"
#include "kernel/redirect.h"

#define NEAR	   "sp-test0"
#define FAR	   "sp-test1"
#define FAR_HARDWARE "02:5a:11:00:00:02"
#define CALL_S	     5

/* Addresses for measurements, which are nobody's: RFC 2544 and RFC 5180. */
struct family {
	const char *name, *option; /* of ip(8) */
	const char *near, *far, *near_prefix, *far_prefix;
};
static const struct family ipv4 = {
	"IPv4", "-4", "198.18.255.1", "198.18.255.2", "198.18.255.1/30", "198.18.255.2/30"};
static const struct family ipv6 = {"IPv6", "-6", "2001:2:0:5a11::1", "2001:2:0:5a11::2",
	"2001:2:0:5a11::1/64", "2001:2:0:5a11::2/64"};

/* --- what to call --- */

struct target {
	struct address_port to;
	char name[256];
};

static bool is_endpoint(const struct selftest *s, const struct address *address)
{
	for (size_t i = 0; i < s->kernel->nendpoints; i++)
		if (prefix_contains(&s->kernel->endpoints[i].prefix, address))
			return true;
	return s->config->endpoints.steer == CONFIG_STEER_ALL;
}

static bool is_of(const struct address *address, const struct family *family)
{
	return address_is_ipv4(address) == (family == &ipv4);
}

/* A configured name that is an endpoint by its address; else a name of a pattern, at any address that
 * is one. */
static bool find_target(
	const struct selftest *s, const struct family *family, struct target *target)
{
	const char *pattern = s->config->hosts[0].pattern;

	target->to.port = s->config->endpoints.ports[0];
	for (size_t i = 0; i < s->nnames; i++) {
		if (!config_host_find(s->config, slice_of_string(s->names[i].name)))
			continue;
		for (size_t j = 0; j < s->names[i].n; j++) {
			target->to.address = s->names[i].addresses[j];
			snprintf(target->name, sizeof(target->name), "%s", s->names[i].name);
			if (is_of(&target->to.address, family) &&
				is_endpoint(s, &target->to.address))
				return true;
		}
	}
	snprintf(target->name, sizeof(target->name), "%s%s", *pattern == '*' ? "selftest" : "",
		*pattern == '*' ? pattern + 1 : pattern);
	for (size_t i = 0; i < s->kernel->nendpoints; i++) {
		const struct prefix *prefix = &s->kernel->endpoints[i].prefix;

		if (prefix->bits != 128 || !is_of(&prefix->address, family))
			continue;
		target->to.address = prefix->address;
		return true;
	}
	return false;
}

/* --- the way --- */

/* "00:00:00:00:00:00" when there is none. */
static void hardware_address(const char *interface, char text[18])
{
	struct ifreq request = {0};
	const unsigned char *b = (const unsigned char *)request.ifr_hwaddr.sa_data;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd >= 0) {
		(void)ioctl(fd, SIOCGIFHWADDR, &request);
		close(fd);
	}
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

/* Runs ip(8). 0, or -EIO and why. */
static int command(struct why *why, const char *const *words)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = {path, NULL};
	posix_spawn_file_actions_t actions;
	int error, status = 0, out[2];
	char said[200] = "";
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return why_set(why, errno, "no pipe: %m");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words,
		environment);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	n = error ? 0 : read(out[0], said, sizeof(said) - 1);
	close(out[0]);
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (error)
		return why_set(why, EIO, "%s cannot be run: %s", words[0], strerror(error));
	if (waitpid(pid, &status, 0) < 0 || status)
		return why_set(why, EIO, "%s %s %s: %s", words[0], words[1], words[2],
			*said ? said : "failed");
	return 0;
}

#define COMMAND(why, ...) command(why, (const char *const[]){__VA_ARGS__, NULL})

static int address_add(
	const struct family *family, const char *prefix, const char *interface, struct why *why)
{
	/* IPv6 would wait until it has asked whether another has the address. */
	return COMMAND(why, "ip", family->option, "addr", "add", prefix, "dev", interface,
		family == &ipv6 ? "nodad" : NULL);
}

/* pid: the client's, whose namespace gets the far end. Both ends know each other's hardware address:
 * nobody is to ask for it by a way that leads elsewhere. */
static int way_make(const struct family *family, int inside, pid_t pid, struct why *why)
{
	char number[16];
	int error;

	snprintf(number, sizeof(number), "%d", (int)pid);
	error = COMMAND(why, "ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR,
		"address", FAR_HARDWARE, "netns", number);
	if (!error)
		error = COMMAND(why, "ip", "link", "set", NEAR, "up");
	if (!error)
		error = address_add(family, family->near_prefix, NEAR, why);
	if (!error)
		error = COMMAND(why, "ip", family->option, "neigh", "add", family->far, "lladdr",
			FAR_HARDWARE, "dev", NEAR);
	if (error)
		return error;
	return redirect_ingress((int)if_nametoindex(NEAR), inside, why);
}

static void way_remove(void)
{
	struct why why;

	(void)COMMAND(&why, "ip", "link", "del", NEAR);
}

/* --- the client, in a process of its own --- */

enum verdict {
	CALL_INSPECTED,
	CALL_NOT_SET_UP,
	CALL_NOT_CONNECTED,
	CALL_NO_HANDSHAKE,
	CALL_NOT_OURS,
};

struct answer {
	enum verdict verdict;
	uint64_t took_ns;
	char text[240];
};

static int client_connect(const struct target *target, struct answer *answer)
{
	/* Ends by a reset: the appliance's FIN would go by the near interface, where nobody counts. */
	const struct linger reset = {.l_onoff = 1};
	struct timeval patience = {.tv_sec = CALL_S};
	struct sockaddr_storage to;
	socklen_t len = address_port_to_sockaddr(&target->to, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
		connect(fd, (struct sockaddr *)&to, len) == 0)
		return fd;
	answer->verdict = CALL_NOT_CONNECTED;
	snprintf(answer->text, sizeof(answer->text), "%s",
		errno == EINPROGRESS || errno == EAGAIN ? "no answer" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void client_judge(SSL *ssl, const struct target *target, struct answer *answer)
{
	long result = SSL_get_verify_result(ssl);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	char issuer[160] = "?";

	if (leaf)
		X509_NAME_oneline(X509_get_issuer_name(leaf), issuer, sizeof(issuer));
	if (leaf && result == X509_V_OK) {
		answer->verdict = CALL_INSPECTED;
		snprintf(answer->text, sizeof(answer->text), "%s", issuer);
		return;
	}
	answer->verdict = CALL_NOT_OURS;
	snprintf(answer->text, sizeof(answer->text), "the certificate for %.60s is of %.60s: %.60s",
		target->name, issuer, X509_verify_cert_error_string(result));
}

static void client_call(const struct target *target, const char *ca, struct answer *answer)
{
	uint64_t begun = clock_monotonic_ns();
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = NULL;
	int fd = client_connect(target, answer);

	if (fd < 0 || !context || SSL_CTX_load_verify_file(context, ca) != 1) {
		if (fd >= 0)
			answer->verdict = CALL_NOT_SET_UP;
		goto out;
	}
	/* An intermediate may be all that the file has. */
	X509_VERIFY_PARAM_set_flags(
		SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
	ssl = SSL_new(context);
	if (!ssl || !SSL_set1_host(ssl, target->name) || !SSL_set_fd(ssl, fd) ||
		!SSL_set_tlsext_host_name(ssl, target->name)) {
		answer->verdict = CALL_NOT_SET_UP;
		goto out;
	}
	if (SSL_connect(ssl) == 1) {
		client_judge(ssl, target, answer);
	} else {
		answer->verdict = CALL_NO_HANDSHAKE;
		snprintf(answer->text, sizeof(answer->text), "%s",
			ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error())
					 : "the connection was cut");
	}
out:
	answer->took_ns = clock_monotonic_ns() - begun;
	SSL_free(ssl);
	SSL_CTX_free(context);
	if (fd >= 0)
		close(fd);
}

/* Says "." when the namespace is there, waits for the way, calls, and says what came of it. */
static _Noreturn void client_run(const struct family *family, const struct target *target,
	const char *ca, const char *hardware, int orders, int words)
{
	struct answer answer = {.verdict = CALL_NOT_SET_UP};
	struct why why = {""};
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		snprintf(answer.text, sizeof(answer.text), "no network namespace: %s",
			strerror(errno));
	else if (write(words, ".", 1) != 1 || read(orders, &go, 1) != 1)
		_exit(1);
	else if (COMMAND(&why, "ip", "link", "set", FAR, "up") ||
		 address_add(family, family->far_prefix, FAR, &why) ||
		 COMMAND(&why, "ip", family->option, "neigh", "add", family->near, "lladdr", hardware,
			 "dev", FAR) ||
		 COMMAND(&why, "ip", family->option, "route", "add", "default", "via", family->near,
			 "dev", FAR))
		snprintf(answer.text, sizeof(answer.text), "%.230s", why.text);
	else
		client_call(target, ca, &answer);
	_exit(write(words, &answer, sizeof(answer)) != (ssize_t)sizeof(answer));
}

/* --- all of it --- */

static void call_answer(struct finding *f, const struct selftest *s, const struct family *family,
	const struct target *t, const struct answer *a)
{
	switch (a->verdict) {
	case CALL_INSPECTED:
		finding_set(f, SELFTEST_GOOD, "%s at %s was answered by the appliance in %llu ms (%s)",
			t->name, address_format(&t->to.address).text,
			(unsigned long long)(a->took_ns / NS_PER_MS), a->text);
		return;
	case CALL_NOT_OURS:
		finding_set(f, SELFTEST_FAILED, "NOT inspected: %s", a->text);
		finding_fix(f, "see the checks programs, routing and workers; hosts must list the name");
		return;
	case CALL_NO_HANDSHAKE:
		finding_set(f, SELFTEST_FAILED, "%s at %s: the TLS handshake failed: %s", t->name,
			address_format(&t->to.address).text, a->text);
		finding_fix(f, "journalctl -u sallyportd; sallyport ca lint");
		return;
	case CALL_NOT_CONNECTED:
		finding_set(f, SELFTEST_FAILED, "%s at %s: not connected: %s", t->name,
			address_format(&t->to.address).text, a->text);
		finding_fix(f, "see the checks programs, routing and workers%s%s",
			s->config->admission.nallow ? "; admission.allow must have " : "",
			s->config->admission.nallow ? family->far : "");
		return;
	case CALL_NOT_SET_UP:
		finding_set(f, SELFTEST_SKIPPED, "the call could not be made: %s",
			*a->text ? a->text : "the client failed");
		finding_fix(f, "it takes root and ip(8)");
	}
}

static void call_make(const struct selftest *s, const struct family *family,
	const struct target *target, struct answer *answer)
{
	int orders[2] = {-1, -1}, words[2] = {-1, -1}, status;
	char hardware[18] = "", ready;
	struct why why = {""};
	pid_t pid = -1;

	hardware_address(s->kernel->inside, hardware);
	way_remove(); /* of a selftest that was killed */
	if (pipe2(orders, O_CLOEXEC) == 0 && pipe2(words, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		client_run(family, target, s->config->tls.ca_certificate, hardware, orders[0], words[1]);
	if (words[1] >= 0)
		close(words[1]);
	if (pid > 0 && read(words[0], &ready, 1) == 1 && ready == '.') {
		if (way_make(family, s->kernel->ifindex, pid, &why) == 0 && write(orders[1], ".", 1) == 1) {
			if (read(words[0], answer, sizeof(*answer)) != (ssize_t)sizeof(*answer))
				*answer = (struct answer){.verdict = CALL_NOT_SET_UP};
		} else {
			snprintf(answer->text, sizeof(answer->text), "%.230s", why.text);
		}
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	way_remove();
	for (size_t i = 0; i < 2; i++)
		if (orders[i] >= 0)
			close(orders[i]);
	if (words[0] >= 0)
		close(words[0]);
}

static void call_of(const struct selftest *s, const struct family *family, struct finding *f)
{
	struct answer answer = {.verdict = CALL_NOT_SET_UP};
	struct target target;

	if (geteuid() != 0) {
		finding_set(f, SELFTEST_SKIPPED, "a call takes root");
		return;
	}
	if (!s->kernel->ifindex || !s->running) {
		finding_set(f, SELFTEST_FAILED, "nobody is there to be called");
		finding_fix(f, "see the checks daemon and interface");
		return;
	}
	if (!find_target(s, family, &target)) {
		finding_set(f, SELFTEST_SKIPPED, "no endpoint has an %s address that is known",
			family->name);
		finding_fix(f, "name your resources under endpoints.names");
		return;
	}
	call_make(s, family, &target, &answer);
	call_answer(f, s, family, &target, &answer);
}

void selftest_call(const struct selftest *s, struct finding *f)
{
	call_of(s, &ipv4, f);
}

void selftest_call_ipv6(const struct selftest *s, struct finding *f)
{
	call_of(s, &ipv6, f);
}
