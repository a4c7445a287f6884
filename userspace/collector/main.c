// SPDX-License-Identifier: GPL-2.0-or-later
/* sallyport-collector: receives the appliances' audit events and stores them. */
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "collector/receiver.h"
#include "collector/store.h"

#define COLLECTOR_LISTEN "127.0.0.1:24224"
#define COLLECTOR_STORE	 "/var/lib/sallyport/events.db"

static const char usage[] =
	"usage: sallyport-collector [--listen ADDRESS:PORT] [--store FILE]\n"
	"\n"
	"Receives audit events over the Fluentd Forward protocol and stores them; an event is\n"
	"acknowledged when it is on disk. Read them with sallyport events, usage and tail.\n"
	"\n"
	"  -l, --listen ADDRESS:PORT  default " COLLECTOR_LISTEN "\n"
	"  -s, --store FILE           default " COLLECTOR_STORE "\n"
	"  -h, --help\n";

static void collector_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int collector_run(const char *listen_on, const char *path)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct receiver *receiver = NULL;
	struct store *store = NULL;
	struct address_port address;
	ev_signal interrupted, terminated;
	struct why why = {""};
	int result = EXIT_FAILURE;

	if (address_port_parse(listen_on, &address) < 0) {
		log_error("--listen %s: expected ADDRESS:PORT", listen_on);
		return 2;
	}
	if (store_open(path, &store, &why) < 0)
		goto out;
	receiver = receiver_new(loop, &address, store, &why);
	if (!receiver)
		goto out;
	ev_signal_init(&interrupted, collector_stop, SIGINT);
	ev_signal_init(&terminated, collector_stop, SIGTERM);
	ev_signal_start(loop, &interrupted);
	ev_signal_start(loop, &terminated);
	log_info("listening on %s, storing in %s", listen_on, path);
	sd_notify(0, "READY=1");
	ev_run(loop, 0);
	sd_notify(0, "STOPPING=1");
	receiver_free(receiver);
	log_info("stopped: %llu events stored, %llu duplicates ignored",
		(unsigned long long)store_added(store),
		(unsigned long long)store_duplicates(store));
	result = EXIT_SUCCESS;
out:
	if (result != EXIT_SUCCESS)
		log_error("%s", why.text);
	store_close(store);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
		{"store", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *listen_on = COLLECTOR_LISTEN, *path = COLLECTOR_STORE;
	const struct rlimit no_core = {0, 0};
	int option;

	log_open("collector", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "l:s:h", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			listen_on = optarg;
			break;
		case 's':
			path = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	/* Prompts stay out of cores, and out of files that others may read. */
	umask(077);
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	return collector_run(listen_on, path);
}
