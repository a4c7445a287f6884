// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/accounting.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/recorder.h"
#include "audit/source_table.h"
#include "audit/source_exporter.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "kernel/flow_sweep.h"
#include "kernel/programs.h"
#include "kernel/source_map.h"
#include "supervise/event_ring.h"

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

enum accounting_phase { ACCOUNTING_SWEEP, ACCOUNTING_LOOK };

/* A round sweeps the flow table, then looks at each source: publishes its totals, and tells of it.
 */
struct accounting {
	struct accounting_options options;
	struct recorder *recorder; /* NULL: stopped */
	int life;		   /* the shipper sees its end */
	int mark;		   /* file: until when all was told, for the next life; -1: none */
	int sources_fd;
	struct source_table *table;
	struct flow_sweep *sweep; /* NULL: there are no maps */
	struct source_map sources;
	struct source_exporter exporter;
	ev_timer step;
	enum accounting_phase phase;
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

static void record_now(struct accounting *accounting, struct event *event)
{
	if (!accounting)
		return;
	if (!accounting->recorder) {
		counter_add(accounting->options.counters, COUNTER_AUDIT_DROPPED, 1);
		return;
	}
	event->time_ns = clock_realtime_ns();
	event->action = SLICE("state-change");
	event->outcome = SLICE("unknown");
	recorder_record(accounting->recorder, event, NULL);
	counter_add(accounting->options.counters, COUNTER_ACCOUNTING_STATES, 1);
	recorder_flush(accounting->recorder);
}

void accounting_state(
	struct accounting *accounting, const char *subject, const char *state, const char *reason)
{
	struct event event = {
		.kind = SLICE("datapath.state"),
		.datapath_subject = slice_of_string(subject),
		.datapath_state = slice_of_string(state),
		.datapath_reason = slice_of_string(reason),
	};

	record_now(accounting, &event);
}

void accounting_unseen(struct accounting *accounting, const struct open_record *record)
{
	struct event event = {
		.kind = SLICE("datapath.open"),
		.datapath_begin = event_number(record->begin_ns),
		.datapath_end = event_number(record->end_ns),
		.datapath_passed = event_number(record->passed),
	};

	record_now(accounting, &event);
}

static void accounting_failed(struct accounting *accounting, const char *what, int error)
{
	uint64_t left_out;

	if (log_limit(&accounting->failed, &left_out))
		log_error("%s: %s (%" PRIu64 " such reports left out)", what, strerror(-error),
			left_out);
}

/* ---- what the next life must know ---- */

#define MARK_FORMAT "%020" PRIu64 "\n"
#define MARK_LENGTH 21

static uint64_t mark_open(struct accounting *accounting)
{
	const char *directory = accounting->options.config->appliance.run_directory;
	char text[MARK_LENGTH + 1] = "", *end;
	uint64_t known_ns;
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/accounting", directory) >= (int)sizeof(path))
		return 0;
	accounting->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (accounting->mark < 0) {
		log_warning("cannot open %s: %s; after a crash, sources are told once more", path,
			strerror(errno));
		return 0;
	}
	if (pread(accounting->mark, text, MARK_LENGTH, 0) != MARK_LENGTH)
		return 0;
	known_ns = strtoull(text, &end, 10);
	/* Of another boot of this machine, or garbage. */
	return *end == '\n' && known_ns <= clock_monotonic_ns() ? known_ns : 0;
}

static void mark_set(struct accounting *accounting, uint64_t known_ns)
{
	char text[MARK_LENGTH + 1];

	if (accounting->mark < 0)
		return;
	snprintf(text, sizeof(text), MARK_FORMAT, known_ns);
	if (pwrite(accounting->mark, text, MARK_LENGTH, 0) != MARK_LENGTH)
		accounting_failed(accounting, "accounting: cannot write its mark", -errno);
}

/* ---- answers that take another way ---- */

/* Told when it lasts, and is over when it has been so for as long. */
#define UNANSWERED_NS (5 * NS_PER_S)

static void unanswered_tell(struct accounting *accounting, const struct flow_round *round)
{
	struct address client, server;
	char reason[256];

	memcpy(&client, &round->example.client, sizeof(client));
	memcpy(&server, &round->example.server, sizeof(server));
	if (accounting->unanswered)
		snprintf(reason, sizeof(reason),
			"of %" PRIu64 " connections nothing came back through %s, as of %s to %s: "
			"their answers take another way (asymmetric routing)",
			round->unanswered, accounting->options.config->datapath.inside,
			address_format(&client).text, address_format(&server).text);
	else
		snprintf(reason, sizeof(reason), "all connections have answers again");
	log_warning("%s", reason);
	accounting_state(
		accounting, "answers", accounting->unanswered ? "elsewhere" : "here", reason);
}

static void unanswered_look(struct accounting *accounting, uint64_t now_ns)
{
	const struct flow_round *round = flow_sweep_round(accounting->sweep);

	if ((round->unanswered > 0) == accounting->unanswered) {
		accounting->unanswered_ns = 0;
		return;
	}
	if (!accounting->unanswered_ns)
		accounting->unanswered_ns = now_ns;
	if (now_ns - accounting->unanswered_ns < UNANSWERED_NS)
		return;
	accounting->unanswered = !accounting->unanswered;
	accounting->unanswered_ns = 0;
	unanswered_tell(accounting, round);
}

/* ---- a round ---- */

static void accounting_end(struct accounting *accounting);

static void round_begin(struct accounting *accounting, uint64_t now_ns)
{
	accounting->phase = ACCOUNTING_SWEEP;
	accounting->round_ns = now_ns;
	accounting->waited_ns = 0;
}

/* Returns the pause before the next step. */
static uint64_t sweep_step(struct accounting *accounting, uint64_t now_ns)
{
	int more = flow_sweep_step(accounting->sweep, now_ns);

	if (more > 0)
		return 0;
	if (more < 0)
		accounting_failed(accounting, "the flow table cannot be swept", more);
	else
		unanswered_look(accounting, now_ns);
	/* Also then: the counters of the sources are something else. */
	accounting->phase = ACCOUNTING_LOOK;
	source_map_rewind(&accounting->sources);
	accounting->at = 0;
	source_table_begin(accounting->table);
	if (now_ns >= accounting->summary_ns) {
		source_exporter_due(&accounting->exporter, now_ns);
		accounting->summary_ns = now_ns + accounting->options.config->accounting.summary_ns;
	}
	source_exporter_begin(&accounting->exporter, now_ns, accounting->stopping);
	return 0;
}

/* False: it has to wait for room in the ring. */
static bool source_look(struct accounting *accounting, uint32_t i)
{
	struct datapath_source source;
	struct source_totals totals;
	struct flow_counts counts;

	source_map_get(&accounting->sources, i, &source);
	counts = flow_sweep_counts(accounting->sweep, &source.address);
	totals = (struct source_totals){
		.counters = source.counters, .active = counts.active, .opening = counts.opening};
	if (source_table_put(accounting->table, &source.address, &totals))
		counter_add(accounting->options.counters, COUNTER_ACCOUNTING_SOURCES_FULL, 1);
	return source_exporter_export(&accounting->exporter, &source.address, &totals);
}

static uint64_t round_end(struct accounting *accounting, uint64_t now_ns)
{
	uint64_t summary_ns = accounting->options.config->accounting.summary_ns;
	uint64_t next_ns = accounting->round_ns + (summary_ns < ROUND_NS ? summary_ns : ROUND_NS);

	counter_add(accounting->options.counters, COUNTER_ACCOUNTING_LOOKS, 1);
	if (source_exporter_end(&accounting->exporter))
		mark_set(accounting, accounting->exporter.due_ns);
	if (accounting->stopping && accounting->exporter.last) {
		accounting_end(accounting);
		accounting->options.stopped(accounting->options.context);
		return 0;
	}
	round_begin(accounting, next_ns);
	return accounting->stopping || next_ns < now_ns ? 0 : next_ns - now_ns;
}

static uint64_t look_step(struct accounting *accounting, uint64_t now_ns)
{
	struct source_map *sources = &accounting->sources;
	int n;

	for (; accounting->at < sources->batch.n; accounting->at++) {
		if (source_look(accounting, accounting->at))
			continue;
		if (accounting->waited_ns >= ROOM_WAIT_NS && !accounting->stopping)
			source_exporter_put_off(&accounting->exporter);
		accounting->waited_ns += ROOM_NS;
		return ROOM_NS;
	}
	if (sources->batch.done)
		return round_end(accounting, now_ns);
	n = source_map_next(sources);
	accounting->at = 0;
	if (n >= 0)
		return 0;
	accounting_failed(accounting, "the counters of sources cannot be read", n);
	counter_add(accounting->options.counters, COUNTER_ACCOUNTING_LOOKS_FAILED, 1);
	sources->batch.done = true;
	source_exporter_put_off(&accounting->exporter);
	return 0;
}

static void stop_late(struct accounting *accounting)
{
	log_warning("not every source could be told a last time: the ring has no room");
	counter_add(accounting->options.counters, COUNTER_ACCOUNTING_SUMMARIES_CUT, 1);
	accounting_end(accounting);
	accounting->options.stopped(accounting->options.context);
}

static void on_step(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct accounting *accounting = timer->data;
	uint64_t begin_ns = clock_monotonic_ns(), pause_ns, busy_ns;

	(void)events;
	if (accounting->stopping && begin_ns >= accounting->stop_ns) {
		stop_late(accounting);
		return;
	}
	pause_ns = accounting->phase == ACCOUNTING_SWEEP ? sweep_step(accounting, begin_ns)
							 : look_step(accounting, begin_ns);
	if (!accounting->recorder)
		return;
	recorder_flush(accounting->recorder);
	busy_ns = clock_monotonic_ns() - begin_ns;
	busy_ns *= begin_ns < accounting->round_ns + ROUND_LONG_NS ? PAUSES : PAUSES_LONG;
	if (!accounting->stopping && pause_ns < busy_ns)
		pause_ns = busy_ns;
	ev_timer_set(timer, (double)pause_ns / (double)NS_PER_S, 0.);
	ev_timer_start(loop, timer);
}

/* ---- life ---- */

static int accounting_open_recorder(struct accounting *accounting, struct why *why)
{
	const struct accounting_options *options = &accounting->options;
	const struct config *config = options->config;
	struct event_ring *ring = event_ring_make(
		options->rings, options->stream, config->audit.ring_bytes, &accounting->life, why);
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
	return recorder_new(&recorder, &accounting->recorder, why);
}

static int accounting_open_maps(struct accounting *accounting, struct why *why)
{
	const struct map_fds *maps = accounting->options.maps;
	const struct config *config = accounting->options.config;
	int error = source_map_open(&accounting->sources, maps->sources);

	if (error)
		return why_set(why, -error, "the counters of sources cannot be read: %s",
			strerror(-error));
	accounting->sweep = flow_sweep_new(
		maps->flows, maps->limits, maps->actives, accounting->options.counters, why);
	if (!accounting->sweep)
		return -EINVAL;
	source_exporter_init(&accounting->exporter, accounting->recorder,
		accounting->options.counters, config->datapath.max_sources, mark_open(accounting));
	round_begin(accounting, clock_monotonic_ns());
	accounting->summary_ns = accounting->round_ns + config->accounting.summary_ns;
	ev_timer_start(accounting->options.loop, &accounting->step);
	return 0;
}

int accounting_new(
	const struct accounting_options *options, struct accounting **opened, struct why *why)
{
	struct accounting *accounting = calloc(1, sizeof(*accounting));
	int error;

	*opened = accounting;
	if (!accounting)
		return why_set(why, ENOMEM, "out of memory");
	accounting->options = *options;
	accounting->life = accounting->mark = accounting->sources_fd = -1;
	ev_timer_init(&accounting->step, on_step, 0., 0.);
	accounting->step.data = accounting;
	error = accounting_open_recorder(accounting, why);
	if (error)
		return error;
	accounting->table = source_table_create(
		options->config->datapath.max_sources, &accounting->sources_fd, why);
	if (!accounting->table)
		return -ENOMEM;
	return options->maps ? accounting_open_maps(accounting, why) : 0;
}

static void accounting_end(struct accounting *accounting)
{
	ev_timer_stop(accounting->options.loop, &accounting->step);
	recorder_free(accounting->recorder);
	accounting->recorder = NULL;
	if (accounting->life >= 0)
		close(accounting->life);
	accounting->life = -1;
}

void accounting_free(struct accounting *accounting)
{
	if (!accounting)
		return;
	accounting_end(accounting);
	flow_sweep_free(accounting->sweep);
	source_map_close(&accounting->sources);
	source_exporter_free(&accounting->exporter);
	source_table_free(accounting->table);
	if (accounting->sources_fd >= 0)
		close(accounting->sources_fd);
	if (accounting->mark >= 0)
		close(accounting->mark);
	free(accounting);
}

void accounting_reconfigure(struct accounting *accounting, const struct config *config)
{
	uint64_t next_ns = clock_monotonic_ns() + config->accounting.summary_ns;

	accounting->options.config = config;
	if (next_ns < accounting->summary_ns)
		accounting->summary_ns = next_ns;
	if (accounting->recorder)
		recorder_observe(accounting->recorder, config->appliance.name);
}

int accounting_sources(const struct accounting *accounting)
{
	return accounting->sources_fd;
}

bool accounting_stop(struct accounting *accounting)
{
	if (!accounting || !accounting->recorder)
		return true;
	if (!accounting->sweep) {
		accounting_end(accounting);
		return true;
	}
	if (accounting->stopping)
		return false;
	accounting->stopping = true;
	accounting->stop_ns = clock_monotonic_ns() + STOP_NS;
	/* What is under way is finished, and one more whole round follows. */
	ev_timer_stop(accounting->options.loop, &accounting->step);
	ev_timer_set(&accounting->step, 0., 0.);
	ev_timer_start(accounting->options.loop, &accounting->step);
	return false;
}
