// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/health_state.h"
#include "cli/metrics_server.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport health [--config FILE] [--listen ADDRESS:PORT]\n"
	"\n"
	"Whether clients may come: while new calls are inspected and recorded, and the appliance does\n"
	"not drain. The exit status is 0 then, else 1.\n"
	"\n"
	"  -c, --config FILE          default " CONFIG_DEFAULT_PATH "\n"
	"  -l, --listen ADDRESS:PORT  answers the probes of load balancers at\n"
	"                             http://ADDRESS:PORT/health with 200 or 503, until SIGTERM\n";

struct health {
	const char *path;
	struct config *config; /* the last that could be read */
	struct address_port listen;
	bool serve;
};

static int health_look(struct health *health, struct health_state *state, struct why *why)
{
	struct observed observed;
	struct config *config;

	if (observed_config(health->path, &config, &observed, why) == 0) {
		config_free(health->config);
		health->config = config;
	} else if (!health->config) {
		return -EINVAL;
	}
	return health_read(health->config, false, state, why);
}

static int health_document(void *context, char **text, size_t *len, struct why *why)
{
	struct health_state state = {.reason = "the kernel cannot be asked"};

	if (health_look(context, &state, why) < 0)
		log_warning("%s", why->text);
	if (asprintf(text, "%s\n", state.reason) < 0)
		return why_set(why, ENOMEM, "no memory");
	*len = strlen(*text);
	return state.ready ? 200 : 503;
}

static void health_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int health_serve(struct health *health)
{
	const struct metrics_document document = {
		"/health", "text/plain; charset=utf-8", health_document, health};
	struct ev_loop *loop = ev_default_loop(0);
	struct metrics_server *server;
	ev_signal interrupted, terminated;
	struct why why = {""};

	log_open("health", LOG_LEVEL_INFO);
	server = metrics_server_new(loop, &health->listen, &document, &why);
	if (!server) {
		log_error("%s", why.text);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&interrupted, health_stop, SIGINT);
	ev_signal_init(&terminated, health_stop, SIGTERM);
	ev_signal_start(loop, &interrupted);
	ev_signal_start(loop, &terminated);
	log_info("answering at http://%s/health", address_port_format(&health->listen).text);
	sd_notify(0, "READY=1");
	ev_run(loop, 0);
	sd_notify(0, "STOPPING=1");
	metrics_server_free(server);
	return 0;
}

static int health_print(struct health *health)
{
	struct health_state state;
	struct why why;

	if (health_look(health, &state, &why) < 0) {
		say("%s", why.text);
		return 1;
	}
	printf("%s\n", state.reason);
	return state.ready ? 0 : 1;
}

int cmd_health(int argc, char **argv)
{
	struct health health = {.path = CONFIG_DEFAULT_PATH};
	const char *listen = NULL;
	const struct option_row rows[] = {
		{'c', "config", NULL, &health.path}, {'l', "listen", NULL, &listen}};
	int status = option_read(argc, argv, usage, rows, 2);

	if (status >= 0)
		return status;
	health.serve = listen != NULL;
	if (listen && address_port_parse(listen, &health.listen) < 0) {
		say("--listen: expected ADDRESS:PORT, found \"%s\"", listen);
		return 2;
	}
	status = health.serve ? health_serve(&health) : health_print(&health);
	config_free(health.config);
	return status;
}
