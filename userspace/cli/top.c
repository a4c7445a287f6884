// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/number.h"
#include "cli/observed.h"
#include "cli/reverse.h"
#include "cli/say.h"
#include "cli/top_screen.h"

static const char usage[] =
	"usage: sallyport top [--config FILE] [--interval SECONDS] [--sort COLUMN] [--limit N]\n"
	"                     [--names] [--once | --batch ROUNDS]\n"
	"\n"
	"Shows what the source addresses do now, per second and in total; ? explains the keys.\n"
	"\n"
	"  -c, --config FILE       default " CONFIG_DEFAULT_PATH "\n"
	"  -i, --interval SECONDS  between two looks; default 2\n"
	"  -s, --sort COLUMN       default bytes/s; any heading of --once\n"
	"  -l, --limit N           sources; default 0: all that fit\n"
	"  -n, --names             with the names that the DNS has for them\n"
	"  -b, --batch ROUNDS      plain text, that many times; 0: until interrupted\n"
	"  -o, --once              --batch 1\n";

struct top {
	const char *path;
	double interval_s;
	uint64_t rounds, shown; /* rounds 0: no end */
	uint64_t limit;
	bool batch, names, reversed, help;
	const struct column *sorted;

	struct ev_loop *loop;
	struct config *config;
	struct datapath_status *before, *now;
	struct traffic traffic;
	struct reverse *reverse; /* NULL until names are asked for */
	struct top_screen *screen;
	struct why why;
	int error;
};

static void top_fail(struct top *top, int error)
{
	top->error = error;
	ev_break(top->loop, EVBREAK_ALL);
}

static const char *name_of(void *context, const struct address *address)
{
	const char *name;

	return reverse_lookup(context, address, &name) ? name : NULL;
}

/* The daemon may have been started since the last time. */
static struct record_state record_read(const struct config *config)
{
	struct counters *counters = NULL;
	struct record_state state;
	char path[4200];

	snprintf(path, sizeof(path), "%s/counters", config->appliance.run_directory);
	if (counters_open(path, &counters, NULL) < 0)
		counters = NULL;
	state = record_state_read(counters, clock_monotonic_ns());
	counters_close(counters);
	return state;
}

static void top_show(struct top *top)
{
	struct top_view view = {.config = top->config,
		.kernel = top->now,
		.traffic = &top->traffic,
		.record = record_read(top->config),
		.sorted = top->sorted,
		.reversed = top->reversed,
		.help = top->help,
		.most = top->limit,
		.name_of = top->names && top->reverse ? name_of : NULL,
		.context = top->reverse};

	traffic_sort(&top->traffic, top->sorted, top->reversed);
	if (top->screen) {
		top_screen_draw(top->screen, &view);
		return;
	}
	if (top->shown)
		putchar('\n');
	top_view_print(&view, stdout);
	top->shown++;
	/* A reader that is gone ends us: a pipe to head(1). */
	if (fflush(stdout) != 0)
		top_fail(top, why_set(&top->why, errno, "the sources cannot be written"));
	else if (top->shown == top->rounds)
		ev_break(top->loop, EVBREAK_ALL);
}

/* The next reading; the one before it is what rates are made of. */
static int top_read(struct top *top)
{
	struct datapath_status *now = NULL;
	struct traffic traffic;
	int error = datapath_status_read_parts(top->config, DATAPATH_SOURCES, &now, &top->why);

	if (error)
		return error;
	if (traffic_read(&traffic, top->now, now) < 0) {
		datapath_status_free(now);
		return why_set(&top->why, ENOMEM, "no memory");
	}
	datapath_status_free(top->before);
	top->before = top->now;
	top->now = now;
	traffic_free(&top->traffic);
	top->traffic = traffic;
	return 0;
}

static void top_names(struct top *top)
{
	if (top->names && !top->reverse) {
		top->reverse = reverse_new(top->loop, top->config, &top->why);
		if (!top->reverse)
			top_fail(top, -EIO);
	}
}

static void top_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct top *top = timer->data;
	int error = top_read(top);

	(void)loop;
	(void)events;
	if (error)
		top_fail(top, error);
	else
		top_show(top);
}

static void top_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void top_resized(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct top *top = watcher->data;

	(void)loop;
	(void)events;
	top_screen_resize(top->screen);
	top_show(top);
}

static void top_move(struct top *top, int by)
{
	size_t at = (size_t)(top->sorted - columns);

	if ((by < 0 && at > 0) || (by > 0 && at + 1 < ncolumns))
		top->sorted += by;
}

/* false: the user has enough. */
static bool top_key(struct top *top, enum top_key key)
{
	int error;

	/* Any key ends the help. */
	top->help = key == TOP_KEY_HELP && !top->help;
	switch (key) {
	case TOP_KEY_LEFT:
		top_move(top, -1);
		break;
	case TOP_KEY_RIGHT:
		top_move(top, 1);
		break;
	case TOP_KEY_REVERSE:
		top->reversed = !top->reversed;
		break;
	case TOP_KEY_NAMES:
		top->names = !top->names;
		top_names(top);
		break;
	case TOP_KEY_REFRESH:
		error = top_read(top);
		if (error)
			top_fail(top, error);
		break;
	case TOP_KEY_QUIT:
		return false;
	default:
		break;
	}
	return true;
}

static void top_typed(struct ev_loop *loop, ev_io *io, int events)
{
	struct top *top = io->data;
	enum top_key key;
	bool hung_up = true;

	(void)events;
	while ((key = top_screen_key(top->screen)) != TOP_KEY_NONE) {
		hung_up = false;
		if (!top_key(top, key)) {
			ev_break(loop, EVBREAK_ALL);
			return;
		}
	}
	/* Readable without a key, again and again: half a key, or a terminal that is gone. */
	if (hung_up && !isatty(STDIN_FILENO))
		ev_break(loop, EVBREAK_ALL);
	else if (!top->error)
		top_show(top);
}

/* A terminal shows totals at once; the text of a batch begins with rates. */
static void top_watch(struct top *top)
{
	ev_signal interrupted, terminated, hung_up, resized;
	ev_timer tick;
	ev_io keys;

	ev_timer_init(&tick, top_tick, top->interval_s, top->interval_s);
	ev_signal_init(&interrupted, top_stop, SIGINT);
	ev_signal_init(&terminated, top_stop, SIGTERM);
	ev_signal_init(&hung_up, top_stop, SIGHUP);
	ev_signal_init(&resized, top_resized, SIGWINCH);
	ev_io_init(&keys, top_typed, STDIN_FILENO, EV_READ);
	tick.data = resized.data = keys.data = top;
	ev_timer_start(top->loop, &tick);
	ev_signal_start(top->loop, &interrupted);
	ev_signal_start(top->loop, &terminated);
	ev_signal_start(top->loop, &hung_up);
	if (top->screen) {
		ev_signal_start(top->loop, &resized);
		ev_io_start(top->loop, &keys);
		top_show(top);
	}
	ev_run(top->loop, 0);
	ev_io_stop(top->loop, &keys);
	ev_timer_stop(top->loop, &tick);
	ev_signal_stop(top->loop, &interrupted);
	ev_signal_stop(top->loop, &terminated);
	ev_signal_stop(top->loop, &hung_up);
	ev_signal_stop(top->loop, &resized);
}

static int top_run(struct top *top)
{
	top->loop = ev_default_loop(0);
	top->error = observed_config_say(top->path, &top->config, &top->why);
	if (!top->error)
		top->error = top_read(top);
	if (!top->error)
		top_names(top);
	if (!top->error && !top->batch) {
		top->screen = top_screen_open(&top->why);
		top->error = top->screen ? 0 : -ENOTTY;
	}
	if (!top->error)
		top_watch(top);
	top_screen_close(top->screen);
	if (top->error)
		say("%s", top->why.text);
	reverse_free(top->reverse);
	traffic_free(&top->traffic);
	datapath_status_free(top->before);
	datapath_status_free(top->now);
	config_free(top->config);
	return top->error ? 1 : 0;
}

static int sort_read(struct top *top, const char *name)
{
	top->sorted = column_find(name);
	if (top->sorted)
		return 0;
	fprintf(stderr, "sallyport top: --sort: there is no column \"%s\"; there are:", name);
	for (size_t i = 0; i < ncolumns; i++)
		fprintf(stderr, " %s", columns[i].name);
	fputc('\n', stderr);
	return -EINVAL;
}

/* 0; 1: --help was printed; -EINVAL: what is wrong was said. */
static int options_read(struct top *top, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"interval", required_argument, NULL, 'i'}, {"sort", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'}, {"names", no_argument, NULL, 'n'},
		{"batch", required_argument, NULL, 'b'}, {"once", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option, error = 0;

	while (!error && (option = getopt_long(argc, argv, "c:i:s:l:nb:oh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			top->path = optarg;
			break;
		case 'i':
			error = number_seconds(
				"top", "--interval", optarg, 0.1, 3600, &top->interval_s);
			break;
		case 's':
			error = sort_read(top, optarg);
			break;
		case 'l':
			error = number_parse("top", "--limit", optarg, 0, 1000000000, &top->limit);
			break;
		case 'n':
			top->names = true;
			break;
		case 'b':
			top->batch = true;
			error = number_parse("top", "--batch", optarg, 0, 1000000000, &top->rounds);
			break;
		case 'o':
			top->batch = true;
			top->rounds = 1;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (!error && optind < argc) {
		fputs(usage, stderr);
		error = -EINVAL;
	}
	return error;
}

int cmd_top(int argc, char **argv)
{
	struct top top = {
		.path = CONFIG_DEFAULT_PATH, .interval_s = 2, .sorted = column_find("bytes/s")};
	int error = options_read(&top, argc, argv);

	if (error)
		return error < 0 ? 2 : 0;
	return top_run(&top);
}
