// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/census.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/recorder.h"
#include "audit/source_board.h"
#include "audit/source_telling.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "kernel/flow_sweep.h"
#include "kernel/programs.h"
#include "kernel/source_map.h"

/* From the begin of one round to that of the next; less where summaries come more often. */
#define ROUND_NS (2 * NS_PER_S)
/* After each step a pause of so many times its length: of one CPU it takes 5 % at most. */
#define PAUSES 19
/* A round that takes so long has shorter pauses: what it found must not be stale (SWEEP_STALE_NS).
 */
#define ROUND_LONG_NS (15 * NS_PER_S)
#define PAUSES_LONG   3
/* Between two looks whether the ring has room, and how long a round waits for that. */
#define ROOM_NS	     (20 * NS_PER_MS)
#define ROOM_WAIT_NS (2 * NS_PER_S)
/* For all that is to be done at the end. */
#define STOP_NS (3 * NS_PER_S)
/* Sources looked at in one step. */
#define STEP_SOURCES 1024u

enum census_phase { CENSUS_SWEEP, CENSUS_LOOK };

/* A round sweeps the flow table, then looks at each source: publishes its totals, and tells of it.
 */
struct census {
	struct census_options options;
	struct recorder *recorder; /* NULL: stopped */
	int life;		   /* the shipper sees its end */
	int mark;		   /* file: until when all was told, for the next life; -1: none */
	int board_fd;
	struct source_board *board;
	struct flow_sweep *sweep; /* NULL: there are no maps */
	struct source_map sources;
	struct source_telling telling;
	ev_timer step;
	enum census_phase phase;
	uint64_t round_ns;   /* when the round began; all times are CLOCK_MONOTONIC */
	uint64_t summary_ns; /* when the next period of summaries begins */
	uint64_t waited_ns;  /* of the round, for room in the ring */
	uint32_t at;	     /* in the batch of sources */
	bool stopping;
	uint64_t stop_ns; /* deadline of that */
	struct log_limit failed;
	bool unanswered;	/* it was told that there are connections without answers */
	uint64_t unanswered_ns; /* since when that is not so any more, or 0 */
};

/* ---- events ---- */

static void record_now(struct census *census, struct event *event)
{
	if (!census)
		return;
	if (!census->recorder) {
		counter_add(census->options.counters, COUNTER_AUDIT_DROPPED, 1);
		return;
	}
	event->time_ns = clock_realtime_ns();
	event->action = SLICE("state-change");
	event->outcome = SLICE("unknown");
	recorder_record(census->recorder, event, NULL);
	counter_add(census->options.counters, COUNTER_CENSUS_STATES, 1);
	recorder_flush(census->recorder);
}

void census_state(struct census *census, const char *subject, const char *state, const char *reason)
{
	struct event event = {
		.kind = SLICE("datapath.state"),
		.datapath_subject = slice_of_string(subject),
		.datapath_state = slice_of_string(state),
		.datapath_reason = slice_of_string(reason),
	};

	record_now(census, &event);
}

void census_unseen(struct census *census, const struct open_record *record)
{
	struct event event = {
		.kind = SLICE("datapath.open"),
		.datapath_begin = event_number(record->begin_ns),
		.datapath_end = event_number(record->end_ns),
		.datapath_passed = event_number(record->passed),
	};

	record_now(census, &event);
}

static void census_failed(struct census *census, const char *what, int error)
{
	uint64_t left_out;

	if (log_limit(&census->failed, &left_out))
		log_error("%s: %s (%" PRIu64 " such reports left out)", what, strerror(-error),
			left_out);
}

/* ---- what the next life must know ---- */

#define MARK_FORMAT "%020" PRIu64 "\n"
#define MARK_LENGTH 21

static uint64_t mark_open(struct census *census)
{
	const char *directory = census->options.config->appliance.run_directory;
	char text[MARK_LENGTH + 1] = "", *end;
	uint64_t known_ns;
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/census", directory) >= (int)sizeof(path))
		return 0;
	census->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (census->mark < 0) {
		log_warning("cannot open %s: %s; after a crash, sources are told once more", path,
			strerror(errno));
		return 0;
	}
	if (pread(census->mark, text, MARK_LENGTH, 0) != MARK_LENGTH)
		return 0;
	known_ns = strtoull(text, &end, 10);
	/* Of another boot of this machine, or garbage. */
	return *end == '\n' && known_ns <= clock_monotonic_ns() ? known_ns : 0;
}

static void mark_set(struct census *census, uint64_t known_ns)
{
	char text[MARK_LENGTH + 1];

	if (census->mark < 0)
		return;
	snprintf(text, sizeof(text), MARK_FORMAT, known_ns);
	if (pwrite(census->mark, text, MARK_LENGTH, 0) != MARK_LENGTH)
		census_failed(census, "census: cannot write its mark", -errno);
}

/* ---- answers that take another way ---- */

/* Told when it lasts, and is over when it has been so for as long. */
#define UNANSWERED_NS (5 * NS_PER_S)

static void unanswered_tell(struct census *census, const struct flow_round *round)
{
	struct address client, server;
	char reason[256];

	memcpy(&client, &round->example.client, sizeof(client));
	memcpy(&server, &round->example.server, sizeof(server));
	if (census->unanswered)
		snprintf(reason, sizeof(reason),
			"of %" PRIu64 " connections nothing came back through %s, as of %s to %s: "
			"their answers take another way (asymmetric routing)",
			round->unanswered, census->options.config->datapath.inside,
			address_format(&client).text, address_format(&server).text);
	else
		snprintf(reason, sizeof(reason), "all connections have answers again");
	log_warning("%s", reason);
	census_state(census, "answers", census->unanswered ? "elsewhere" : "here", reason);
}

static void unanswered_look(struct census *census, uint64_t now_ns)
{
	const struct flow_round *round = flow_sweep_round(census->sweep);

	if ((round->unanswered > 0) == census->unanswered) {
		census->unanswered_ns = 0;
		return;
	}
	if (!census->unanswered_ns)
		census->unanswered_ns = now_ns;
	if (now_ns - census->unanswered_ns < UNANSWERED_NS)
		return;
	census->unanswered = !census->unanswered;
	census->unanswered_ns = 0;
	unanswered_tell(census, round);
}

/* ---- a round ---- */

static void census_end(struct census *census);

static void round_begin(struct census *census, uint64_t now_ns)
{
	census->phase = CENSUS_SWEEP;
	census->round_ns = now_ns;
	census->waited_ns = 0;
}

/* Returns the pause before the next step. */
static uint64_t sweep_step(struct census *census, uint64_t now_ns)
{
	int more = flow_sweep_step(census->sweep, now_ns);

	if (more > 0)
		return 0;
	if (more < 0)
		census_failed(census, "the flow table cannot be swept", more);
	else
		unanswered_look(census, now_ns);
	/* Also then: the counters of the sources are something else. */
	census->phase = CENSUS_LOOK;
	source_map_rewind(&census->sources);
	census->at = 0;
	source_board_begin(census->board);
	if (now_ns >= census->summary_ns) {
		source_telling_due(&census->telling, now_ns);
		census->summary_ns = now_ns + census->options.config->accounting.summary_ns;
	}
	source_telling_begin(&census->telling, now_ns, census->stopping);
	return 0;
}

/* False: it has to wait for room in the ring. */
static bool source_look(struct census *census, uint32_t i)
{
	struct datapath_source source;
	struct source_totals totals;
	struct flow_counts counts;

	source_map_get(&census->sources, i, &source);
	counts = flow_sweep_counts(census->sweep, &source.address);
	totals = (struct source_totals){
		.counters = source.counters, .active = counts.active, .opening = counts.opening};
	if (source_board_put(census->board, &source.address, &totals))
		counter_add(census->options.counters, COUNTER_CENSUS_SOURCES_FULL, 1);
	return source_telling_tell(&census->telling, &source.address, &totals);
}

static uint64_t round_end(struct census *census, uint64_t now_ns)
{
	uint64_t summary_ns = census->options.config->accounting.summary_ns;
	uint64_t next_ns = census->round_ns + (summary_ns < ROUND_NS ? summary_ns : ROUND_NS);

	counter_add(census->options.counters, COUNTER_CENSUS_LOOKS, 1);
	if (source_telling_end(&census->telling))
		mark_set(census, census->telling.due_ns);
	if (census->stopping && census->telling.last) {
		census_end(census);
		census->options.stopped(census->options.context);
		return 0;
	}
	round_begin(census, next_ns);
	return census->stopping || next_ns < now_ns ? 0 : next_ns - now_ns;
}

static uint64_t look_step(struct census *census, uint64_t now_ns)
{
	struct source_map *sources = &census->sources;
	int n;

	for (; census->at < sources->batch.n; census->at++) {
		if (source_look(census, census->at))
			continue;
		if (census->waited_ns >= ROOM_WAIT_NS && !census->stopping)
			source_telling_put_off(&census->telling);
		census->waited_ns += ROOM_NS;
		return ROOM_NS;
	}
	if (sources->batch.done)
		return round_end(census, now_ns);
	n = source_map_next(sources);
	census->at = 0;
	if (n >= 0)
		return 0;
	census_failed(census, "the counters of sources cannot be read", n);
	counter_add(census->options.counters, COUNTER_CENSUS_LOOKS_FAILED, 1);
	sources->batch.done = true;
	source_telling_put_off(&census->telling);
	return 0;
}

static void stop_late(struct census *census)
{
	log_warning("not every source could be told a last time: the ring has no room");
	counter_add(census->options.counters, COUNTER_CENSUS_SUMMARIES_CUT, 1);
	census_end(census);
	census->options.stopped(census->options.context);
}

static void on_step(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct census *census = timer->data;
	uint64_t begin_ns = clock_monotonic_ns(), pause_ns, busy_ns;

	(void)events;
	if (census->stopping && begin_ns >= census->stop_ns) {
		stop_late(census);
		return;
	}
	pause_ns = census->phase == CENSUS_SWEEP ? sweep_step(census, begin_ns)
						 : look_step(census, begin_ns);
	if (!census->recorder)
		return;
	recorder_flush(census->recorder);
	busy_ns = clock_monotonic_ns() - begin_ns;
	busy_ns *= begin_ns < census->round_ns + ROUND_LONG_NS ? PAUSES : PAUSES_LONG;
	if (!census->stopping && pause_ns < busy_ns)
		pause_ns = busy_ns;
	ev_timer_set(timer, (double)pause_ns / (double)NS_PER_S, 0.);
	ev_timer_start(loop, timer);
}

/* ---- life ---- */

static int census_open_recorder(struct census *census, struct why *why)
{
	const struct census_options *options = &census->options;
	const struct config *config = options->config;
	struct handout_ring *ring = handout_ring_make(
		options->handout, options->stream, config->audit.ring_bytes, &census->life, why);
	struct recorder_options recorder = {
		.counters = options->counters,
		.observer = config->appliance.name,
		.epoch = options->epoch,
		.stream = options->stream,
	};

	if (!ring)
		return -ENOMEM;
	/* The ring's own stay for the shippers to come. */
	recorder.ring = fcntl(ring->ring, F_DUPFD_CLOEXEC, 0);
	recorder.wake_shipper = fcntl(ring->wake_shipper, F_DUPFD_CLOEXEC, 0);
	recorder.wake_worker = fcntl(ring->wake_worker, F_DUPFD_CLOEXEC, 0);
	return recorder_new(&recorder, &census->recorder, why);
}

static int census_open_maps(struct census *census, struct why *why)
{
	const struct map_fds *maps = census->options.maps;
	const struct config *config = census->options.config;
	int error = source_map_open(&census->sources, maps->sources);

	if (error)
		return why_set(why, -error, "the counters of sources cannot be read: %s",
			strerror(-error));
	census->sweep = flow_sweep_new(
		maps->flows, maps->limits, maps->actives, census->options.counters, why);
	if (!census->sweep)
		return -EINVAL;
	source_telling_init(&census->telling, census->recorder, census->options.counters,
		config->datapath.max_sources, mark_open(census));
	round_begin(census, clock_monotonic_ns());
	census->summary_ns = census->round_ns + config->accounting.summary_ns;
	ev_timer_start(census->options.loop, &census->step);
	return 0;
}

int census_new(const struct census_options *options, struct census **opened, struct why *why)
{
	struct census *census = calloc(1, sizeof(*census));
	int error;

	*opened = census;
	if (!census)
		return why_set(why, ENOMEM, "out of memory");
	census->options = *options;
	census->life = census->mark = census->board_fd = -1;
	ev_timer_init(&census->step, on_step, 0., 0.);
	census->step.data = census;
	error = census_open_recorder(census, why);
	if (error)
		return error;
	census->board =
		source_board_create(options->config->datapath.max_sources, &census->board_fd, why);
	if (!census->board)
		return -ENOMEM;
	return options->maps ? census_open_maps(census, why) : 0;
}

static void census_end(struct census *census)
{
	ev_timer_stop(census->options.loop, &census->step);
	recorder_free(census->recorder);
	census->recorder = NULL;
	if (census->life >= 0)
		close(census->life);
	census->life = -1;
}

void census_free(struct census *census)
{
	if (!census)
		return;
	census_end(census);
	flow_sweep_free(census->sweep);
	source_map_close(&census->sources);
	source_telling_free(&census->telling);
	source_board_free(census->board);
	if (census->board_fd >= 0)
		close(census->board_fd);
	if (census->mark >= 0)
		close(census->mark);
	free(census);
}

void census_reconfigure(struct census *census, const struct config *config)
{
	uint64_t next_ns = clock_monotonic_ns() + config->accounting.summary_ns;

	census->options.config = config;
	if (next_ns < census->summary_ns)
		census->summary_ns = next_ns;
	if (census->recorder)
		recorder_observe(census->recorder, config->appliance.name);
}

int census_board(const struct census *census)
{
	return census->board_fd;
}

bool census_stop(struct census *census)
{
	if (!census || !census->recorder)
		return true;
	if (!census->sweep) {
		census_end(census);
		return true;
	}
	if (census->stopping)
		return false;
	census->stopping = true;
	census->stop_ns = clock_monotonic_ns() + STOP_NS;
	/* What is under way is finished, and one more whole round follows. */
	ev_timer_stop(census->options.loop, &census->step);
	ev_timer_set(&census->step, 0., 0.);
	ev_timer_start(census->options.loop, &census->step);
	return false;
}
