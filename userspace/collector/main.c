// SPDX-License-Identifier: GPL-2.0-or-later
/* sallyport-collector: receives the appliances' audit events and stores them. */
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "collector/companion.h"
#include "collector/index.h"
#include "collector/migrate.h"
#include "collector/receiver.h"
#include "collector/review_server.h"
#include "collector/sender_tls.h"
#include "collector/store.h"
#include "config/key_file.h"

#define COLLECTOR_SOCKET "/run/sallyport-collector/socket"
#define COLLECTOR_USER	 "sallyport-shipper"
#define COLLECTOR_STORE	 "/var/lib/sallyport/events"
#define COLLECTOR_REVIEW "/run/sallyport-collector/review"
#define COLLECTOR_RETAIN_S 3600. /* between two looks for days that are too old */
#define COLLECTOR_USERS	 16
#define COLLECTOR_HELLO	 (10 * NS_PER_S)
#define COLLECTOR_STALL	 (60 * NS_PER_S)

static const char usage[] =
	"usage: sallyport-collector [OPTIONS]\n"
	"\n"
	"Receives audit events over the Fluentd Forward protocol and stores them; an event is\n"
	"acknowledged when it is on disk. Read them with sallyport events, usage and tail.\n"
	"\n"
	"  -S, --socket PATH          for senders on this machine; default\n"
	"                             " COLLECTOR_SOCKET "\n"
	"  -u, --user USER            who may send there, besides root; more than once for more;\n"
	"                             default " COLLECTOR_USER "\n"
	"  -l, --listen ADDRESS:PORT  for senders elsewhere, who have the key, or a certificate;\n"
	"                             default: nowhere\n"
	"  -k, --key-file FILE        the key that is shared with them, one line\n"
	"  -c, --certificate FILE     TLS, with this certificate (PEM) and those that lead to its root\n"
	"  -K, --certificate-key FILE its key\n"
	"  -a, --authority FILE       of the certificates that senders must have; without: none\n"
	"  -s, --store DIRECTORY      default " COLLECTOR_STORE "\n"
	"  -e, --content-key FILE     encrypts what was said with this key, 64 hexadecimal digits; the\n"
	"                             words are not kept for sallyport search then\n"
	"  -I, --searchable           with --content-key: they are kept, and are not encrypted\n"
	"  -r, --retain DAYS          removes what is older; default 0: nothing\n"
	"  -w, --review ADDRESS:PORT  shows what is stored, to browsers of this machine: 127.0.0.1:PORT;\n"
	"                             default: nowhere. sallyport review prints the link\n"
	"  -W, --review-socket PATH   where sallyport review asks for it; default\n"
	"                             " COLLECTOR_REVIEW "\n"
	"  -R, --reviewer USER        who may see what was said, besides root; more than once for more\n"
	"  -O, --operator USER        likewise, who may see the numbers only\n"
	"  -h, --help\n"
	"\n"
	"A process of its own, sallyport-collector --index DIRECTORY, keeps the words of what was\n"
	"said for sallyport search; the collector starts it.\n";

struct collector {
	const char *socket, *listen, *key_file, *store, *content_key;
	bool searchable;
	struct sender_tls tls;
	uid_t users[COLLECTOR_USERS];
	size_t nusers;
	unsigned retain;
	const char *review, *review_socket;
	struct review_user reviewers[COLLECTOR_USERS];
	size_t nreviewers;
	struct address_port review_at;
	bool index, page; /* the process that keeps the index, or shows the page */
	char **arguments; /* with --page before them */
};

static void collector_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

struct retention {
	ev_timer timer;
	struct store *store;
	unsigned days;
};

static void collector_retain(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct retention *retention = timer->data;

	(void)events;
	if (!store_in_transaction(retention->store)) {
		store_retain(retention->store, retention->days);
		return;
	}
	/* This turn's events are committed at its end. */
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, 0.01, COLLECTOR_RETAIN_S);
	ev_timer_start(loop, timer);
}

/* A name or a number. */
static int collector_user(const char *text, uid_t *user)
{
	const struct passwd *entry = getpwnam(text);
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (entry)
		*user = entry->pw_uid;
	else if (*text >= '0' && *text <= '9' && !*end && number < UINT32_MAX)
		*user = (uid_t)number;
	else
		return -ENOENT;
	return 0;
}

static int collector_key(const char *path, struct buf *key, struct why *why)
{
	int fd = file_secret_open(path, geteuid(), why);
	int error;

	if (fd < 0)
		return fd;
	error = key_file_read(fd, path, key, why);
	close(fd);
	return error;
}

/* Receives, until it is told to stop. */
static void collector_serve(const struct collector *collector, const struct receiver_options *options)
{
	char *const index[] = {"sallyport-collector", "--index", (char *)(uintptr_t)collector->store,
		NULL};
	struct retention retention = {.store = options->store, .days = collector->retain};
	struct companion indexer = {0}, page = {0};
	ev_signal interrupted, terminated;

	ev_signal_init(&interrupted, collector_stop, SIGINT);
	ev_signal_init(&terminated, collector_stop, SIGTERM);
	ev_signal_start(options->loop, &interrupted);
	ev_signal_start(options->loop, &terminated);
	log_info("listening on %s%s%s%s, storing in %s", collector->socket,
		collector->listen ? " and " : "", collector->listen ? collector->listen : "",
		options->tls ? " with TLS" : "", collector->store);
	sd_notify(0, "READY=1");
	retention.timer.data = &retention;
	ev_timer_init(&retention.timer, collector_retain, 0., COLLECTOR_RETAIN_S);
	ev_timer_start(options->loop, &retention.timer);
	if (!store_is_sealed(options->store) || collector->searchable)
		companion_start(&indexer, options->loop, "the index", index);
	if (collector->review)
		companion_start(
			&page, options->loop, "the review page", collector->arguments);
	ev_run(options->loop, 0);
	sd_notify(0, "STOPPING=1");
	ev_timer_stop(options->loop, &retention.timer);
	companion_stop(&page);
	companion_stop(&indexer);
}

static int collector_run(const struct collector *collector)
{
	struct receiver_options options = {.loop = ev_default_loop(0),
		.socket = collector->socket,
		.users = collector->users,
		.nusers = collector->nusers,
		.hello_ns = COLLECTOR_HELLO,
		.stall_ns = COLLECTOR_STALL};
	struct receiver *receiver = NULL;
	struct address_port address;
	struct buf key = BUF_EMPTY;
	struct why why = {""};
	int error = 0;

	if (collector->listen) {
		if (address_port_parse(collector->listen, &address) < 0) {
			log_error("--listen %s: expected ADDRESS:PORT", collector->listen);
			return 2;
		}
		options.listen = &address;
	}
	if (collector->key_file)
		error = collector_key(collector->key_file, &key, &why);
	options.key = buf_slice(&key);
	if (!error && collector->tls.certificate) {
		options.tls = sender_tls_new(&collector->tls, &why);
		error = options.tls ? 0 : -EINVAL;
	}
	if (!error && collector->content_key)
		error = store_seal(collector->store, collector->content_key, &why);
	if (!error)
		error = migrate_open(collector->store, &options.store, &why);
	if (!error)
		receiver = receiver_new(&options, &why);
	if (receiver) {
		collector_serve(collector, &options);
		receiver_free(receiver);
		log_info("stopped: %llu events stored, %llu of them in conflict, %llu duplicates "
			 "ignored",
			(unsigned long long)store_added(options.store),
			(unsigned long long)store_conflicts(options.store),
			(unsigned long long)store_duplicates(options.store));
	} else {
		log_error("%s", why.text);
	}
	store_close(options.store);
	SSL_CTX_free(options.tls);
	buf_wipe(&key);
	return receiver ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int collector_add_user(struct collector *collector, const char *value)
{
	if (collector->nusers < COLLECTOR_USERS &&
		collector_user(value, &collector->users[collector->nusers]) == 0) {
		collector->nusers++;
		return 0;
	}
	log_error("--user %s: expected a user of this machine, and at most %d of them",
		log_quote(slice_of_string(value)).text, COLLECTOR_USERS);
	return -EINVAL;
}

static int collector_add_reviewer(struct collector *collector, const char *value, enum role role)
{
	struct review_user *user = &collector->reviewers[collector->nreviewers];

	if (collector->nreviewers < COLLECTOR_USERS && collector_user(value, &user->uid) == 0) {
		user->role = role;
		collector->nreviewers++;
		return 0;
	}
	log_error("--%s %s: expected a user of this machine, and at most %d of them",
		role == ROLE_REVIEWER ? "reviewer" : "operator",
		log_quote(slice_of_string(value)).text, COLLECTOR_USERS);
	return -EINVAL;
}

static int collector_review(struct collector *collector, const char *value)
{
	collector->review = value;
	if (address_port_parse(value, &collector->review_at) == 0 &&
		address_is_loopback(&collector->review_at.address) && collector->review_at.port)
		return 0;
	log_error("--review %s: expected an address of this machine alone and a port, such as "
		  "127.0.0.1:24280: it is not encrypted",
		log_quote(slice_of_string(value)).text);
	return -EINVAL;
}

/* 0, or -EINVAL, told. */
static int collector_option(struct collector *collector, int option, const char *value)
{
	char *end;

	switch (option) {
	case 'S':
		collector->socket = value;
		return 0;
	case 'u':
		return collector_add_user(collector, value);
	case 'w':
		return collector_review(collector, value);
	case 'W':
		collector->review_socket = value;
		return 0;
	case 'R':
		return collector_add_reviewer(collector, value, ROLE_REVIEWER);
	case 'O':
		return collector_add_reviewer(collector, value, ROLE_OPERATOR);
	case 'p':
		collector->page = true;
		return 0;
	case 'l':
		collector->listen = value;
		return 0;
	case 'k':
		collector->key_file = value;
		return 0;
	case 'c':
		collector->tls.certificate = value;
		return 0;
	case 'K':
		collector->tls.key = value;
		return 0;
	case 'a':
		collector->tls.authority = value;
		return 0;
	case 's':
		collector->store = value;
		return 0;
	case 'e':
		collector->content_key = value;
		return 0;
	case 'I':
		collector->searchable = true;
		return 0;
	case 'i':
		collector->index = true;
		collector->store = value;
		return 0;
	case 'r':
		collector->retain = (unsigned)strtoul(value, &end, 10);
		if (*value >= '0' && *value <= '9' && !*end && collector->retain <= 36500)
			return 0;
		log_error("--retain %s: expected a number of days, at most 36500",
			log_quote(slice_of_string(value)).text);
		return -EINVAL;
	default:
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

/* Whether the options make sense together; told when not. */
static bool collector_together(const struct collector *c)
{
	const char *wrong = NULL;

	if ((c->nreviewers || c->page) && !c->review)
		wrong = "--reviewer, --operator: only with --review";
	else if (c->searchable && !c->content_key)
		wrong = "--searchable: only with --content-key";
	else if (!c->listen && (c->key_file || c->tls.certificate))
		wrong = "--key-file, --certificate: only with --listen";
	else if (!c->tls.certificate != !c->tls.key || (c->tls.authority && !c->tls.certificate))
		wrong = "--certificate and --certificate-key belong together, --authority to both";
	else if (c->listen && !c->key_file && !c->tls.authority)
		wrong = "--listen: whoever reaches the address could send: give --key-file or "
			"--authority as well";
	if (wrong)
		log_error("%s", wrong);
	return !wrong;
}

/* The process that shows the page: this program with the same options, and --page. */
static int collector_page(const struct collector *collector)
{
	struct review_options options = {
		.api = {.store = collector->store, .retain = collector->retain},
		.listen = &collector->review_at,
		.socket = collector->review_socket,
		.users = collector->reviewers,
		.nusers = collector->nreviewers};

	log_open("review", LOG_LEVEL_INFO);
	return review_run(&options);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 'S'},
		{"user", required_argument, NULL, 'u'}, {"listen", required_argument, NULL, 'l'},
		{"key-file", required_argument, NULL, 'k'}, {"store", required_argument, NULL, 's'},
		{"content-key", required_argument, NULL, 'e'},
		{"searchable", no_argument, NULL, 'I'},
		{"retain", required_argument, NULL, 'r'},
		{"certificate", required_argument, NULL, 'c'},
		{"certificate-key", required_argument, NULL, 'K'},
		{"authority", required_argument, NULL, 'a'},
		{"review", required_argument, NULL, 'w'},
		{"review-socket", required_argument, NULL, 'W'},
		{"reviewer", required_argument, NULL, 'R'},
		{"operator", required_argument, NULL, 'O'}, {"page", no_argument, NULL, 'p'},
		{"index", required_argument, NULL, 'i'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct collector collector = {.socket = COLLECTOR_SOCKET, .store = COLLECTOR_STORE,
		.review_socket = COLLECTOR_REVIEW};
	const struct rlimit no_core = {0, 0};
	int option, status;

	log_open("collector", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "S:u:l:k:c:K:a:s:e:Ir:w:W:R:O:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (collector_option(&collector, option, optarg) < 0)
			return 2;
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (!collector_together(&collector))
		return 2;
	/* On a machine without an appliance there is no such user: then root alone may. */
	if (!collector.nusers && collector_user(COLLECTOR_USER, &collector.users[0]) == 0)
		collector.nusers = 1;
	/* Prompts stay out of cores, and out of files that others may read. */
	umask(077);
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	if (collector.index)
		return index_run(collector.store);
	if (collector.page)
		return collector_page(&collector);
	collector.arguments = calloc((size_t)argc + 2, sizeof(*argv));
	if (!collector.arguments)
		return EXIT_FAILURE;
	memcpy(collector.arguments + 1, argv, (size_t)argc * sizeof(*argv));
	collector.arguments[0] = argv[0];
	collector.arguments[1] = "--page";
	status = collector_run(&collector);
	free(collector.arguments);
	return status;
}
