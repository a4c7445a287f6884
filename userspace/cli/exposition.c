// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/exposition.h"

#include <inttypes.h>
#include <string.h>

#include "backend/breaker.h"
#include "base/clock.h"
#include "cli/inspecting.h"
#include "cli/record_state.h"

/* --- the format --- */

/* Backslashes and line feeds are escaped in help texts; in label values, quotes as well. */
static void print_escaped(FILE *out, const char *text, bool quotes)
{
	for (; *text; text++)
		switch (*text) {
		case '\\':
			fputs("\\\\", out);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '"':
			fputs(quotes ? "\\\"" : "\"", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP sallyport_%s ", name);
	print_escaped(out, help, false);
	fprintf(out, "\n# TYPE sallyport_%s %s\n", name, type);
}

static void sample(FILE *out, const char *name, const char *label, const char *value, uint64_t n)
{
	fprintf(out, "sallyport_%s", name);
	if (label) {
		fprintf(out, "{%s=\"", label);
		print_escaped(out, value, true);
		fputs("\"}", out);
	}
	fprintf(out, " %" PRIu64 "\n", n);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t n)
{
	family(out, name, "gauge", help);
	sample(out, name, NULL, NULL, n);
}

static void seconds(FILE *out, const char *name, const char *label, const char *value, uint64_t ns)
{
	fprintf(out, "sallyport_%s", name);
	if (label)
		fprintf(out, "{%s=\"%s\"}", label, value);
	fprintf(out, " %" PRIu64 ".%09" PRIu64 "\n", (uint64_t)(ns / NS_PER_S),
		(uint64_t)(ns % NS_PER_S));
}

/* A help text of a family whose label has values with meanings: "text: value (meaning), …". */
static void family_of(FILE *out, const char *name, const char *type, const char *help, unsigned n,
	const char *(*value)(unsigned), const char *(*meaning)(unsigned))
{
	fprintf(out, "# HELP sallyport_%s %s: ", name, help);
	for (unsigned i = 0; i < n; i++) {
		fprintf(out, "%s%s (", i ? ", " : "", value(i));
		print_escaped(out, meaning(i), false);
		fputc(')', out);
	}
	fprintf(out, "\n# TYPE sallyport_%s %s\n", name, type);
}

static const char *outcome_value(unsigned i)
{
	return outcome_name((enum outcome)i);
}

static const char *outcome_meaning(unsigned i)
{
	return outcome_help((enum outcome)i);
}

static const char *drop_value(unsigned i)
{
	return drop_name((enum drop)i);
}

static const char *drop_meaning(unsigned i)
{
	return drop_help((enum drop)i);
}

static const char *state_value(unsigned i)
{
	return flow_state_name((enum flow_state)i);
}

static const char *state_meaning(unsigned i)
{
	return flow_state_help((enum flow_state)i);
}

/* --- the appliance and its kernel side --- */

static void print_programs(const struct datapath_status *k, FILE *out)
{
	gauge(out, "inspecting", "whether new calls are inspected", inspecting(k));
	family(out, "program_attached", "gauge", "whether the kernel program is attached");
	sample(out, "program_attached", "program", "admit", k->admit.attached);
	sample(out, "program_attached", "program", "steer", k->steer.attached);
	sample(out, "program_attached", "program", "reply", k->reply.attached);
	sample(out, "program_attached", "program", "select", k->select.attached);
	sample(out, "program_attached", "program", "guard", k->guard.attached);
	family(out, "routing", "gauge",
		"whether the rule and the route that deliver steered packets are there");
	sample(out, "routing", "family", "ipv4", k->rule4 && k->route4);
	sample(out, "routing", "family", "ipv6", k->rule6 && k->route6);
}

static void print_workers(const struct exposition *e, FILE *out)
{
	const struct datapath_status *k = e->kernel;
	bool open = e->config->datapath.fail == CONFIG_FAIL_OPEN;
	const uint64_t scout = k->heartbeats[HEARTBEAT_SCOUT];
	unsigned told = 0;

	gauge(out, "workers", "workers that source addresses are spread over", k->workers);
	family(out, "workers_listening", "gauge", "workers that listen");
	sample(out, "workers_listening", "family", "ipv4", k->listening4);
	sample(out, "workers_listening", "family", "ipv6", k->listening6);
	gauge(out, "workers_alive", "workers that listen and are not known to hang", k->alive);
	for (unsigned worker = 0; worker < k->workers && worker < WORKERS_MAX; worker++) {
		uint64_t last = k->heartbeats[worker];
		char number[16];

		if (!last)
			continue;
		if (!told++)
			family(out, "worker_heartbeat_age_seconds", "gauge",
				"since the last sign of life");
		snprintf(number, sizeof(number), "%u", worker);
		seconds(out, "worker_heartbeat_age_seconds", "worker", number,
			k->read_ns > last ? k->read_ns - last : 0);
	}
	if (scout) {
		family(out, "scout_heartbeat_age_seconds", "gauge", "since the last sign of life");
		seconds(out, "scout_heartbeat_age_seconds", NULL, NULL,
			k->read_ns > scout ? k->read_ns - scout : 0);
	}
	family(out, "heartbeat_timeout_seconds", "gauge",
		"age of a sign of life from which on a worker is not alive; 0: not looked at");
	seconds(out, "heartbeat_timeout_seconds", NULL, NULL, k->settings.heartbeat_ns);
	family(out, "fail_mode", "gauge",
		"what becomes of new calls while no worker is alive (datapath.fail)");
	sample(out, "fail_mode", "mode", "closed", !open);
	sample(out, "fail_mode", "mode", "open", open);
}

static void print_endpoints(const struct datapath_status *k, FILE *out)
{
	uint64_t counts[ENDPOINT_SOURCES_MAX][2] = {{0}};
	uint64_t rules[ADMISSION_DENY + 1] = {0};

	for (size_t i = 0; i < k->nendpoints; i++)
		if (k->endpoints[i].source < ENDPOINT_SOURCES_MAX)
			counts[k->endpoints[i].source][k->endpoints[i].fail == FAIL_OPEN]++;
	family(out, "endpoints", "gauge",
		"addresses and prefixes that are steered, by where they were learned, and what "
		"becomes of new connections to them while no worker is alive");
	for (unsigned source = ENDPOINT_CONFIGURED; source < ENDPOINT_SOURCES_MAX; source++)
		for (unsigned fail = FAIL_CLOSED; fail <= FAIL_OPEN; fail++)
			fprintf(out, "sallyport_endpoints{source=\"%s\",fail=\"%s\"} %" PRIu64 "\n",
				endpoint_source_name((enum endpoint_source)source),
				fail_name((enum fail)fail), counts[source][fail]);
	gauge(out, "admission_in_force", "whether sources are judged by prefixes",
		k->settings.admission != 0);
	if (k->admission_unread)
		return;
	for (size_t i = 0; i < k->nadmission; i++)
		if (k->admission[i].rule <= ADMISSION_DENY)
			rules[k->admission[i].rule]++;
	family(out, "admission_prefixes", "gauge", "prefixes of sources that may send, or may not");
	sample(out, "admission_prefixes", "rule", "allow", rules[ADMISSION_ALLOW]);
	sample(out, "admission_prefixes", "rule", "deny", rules[ADMISSION_DENY]);
}

static void print_packets(const struct datapath_status *k, FILE *out)
{
	family_of(out, "packets_total", "counter", "packets by what became of them", OUTCOME_COUNT,
		outcome_value, outcome_meaning);
	for (enum outcome i = 0; i < OUTCOME_COUNT; i++)
		sample(out, "packets_total", "outcome", outcome_name(i), k->outcomes[i]);
	family_of(out, "flows", "gauge", "connections in the flow table, by state",
		FLOW_STATE_COUNT, state_value, state_meaning);
	for (enum flow_state i = 0; i < FLOW_STATE_COUNT; i++)
		sample(out, "flows", "state", flow_state_name(i), k->flows.states[i]);
	gauge(out, "flows_unanswered",
		"of these, active connections of whose servers nothing came through datapath.inside",
		k->flows.unanswered);
	gauge(out, "flows_steered", "of these, connections that are steered", k->flows.steered);
	family(out, "connections_active", "gauge", "connections that are open now");
	sample(out, "connections_active", "steered", "yes", k->flows.steered_active);
	sample(out, "connections_active", "steered", "no",
		k->flows.active - k->flows.steered_active);
}

/* --- sources --- */

/* Those that are shown, and the sum of the rest as the last; false: there is no rest. */
struct shown {
	const struct datapath_source *sources;
	size_t n;
	struct datapath_source rest;
	bool others;
};

static void shown_make(struct shown *shown, const struct exposition *e)
{
	const struct datapath_status *k = e->kernel;

	memset(shown, 0, sizeof(*shown));
	shown->sources = k->sources;
	shown->n = k->nsources < e->sources ? k->nsources : e->sources;
	shown->others = shown->n < k->nsources;
	for (size_t i = shown->n; i < k->nsources; i++) {
		const struct source_counters *each = &k->sources[i].counters;
		struct source_counters *rest = &shown->rest.counters;

#define EXPOSITION_SUM(member, name, help) rest->member += each->member;
		SOURCE_COUNTS(EXPOSITION_SUM)
		for (enum drop drop = 0; drop < DROP_COUNT; drop++)
			rest->drops[drop] += each->drops[drop];
		if (each->seen_ns > rest->seen_ns)
			rest->seen_ns = each->seen_ns;
		shown->rest.active += k->sources[i].active;
	}
}

/* The source at i and its label; NULL after the last. */
static const struct datapath_source *shown_at(
	const struct shown *shown, size_t i, struct address_text *label)
{
	if (i < shown->n) {
		*label = address_format(&shown->sources[i].address);
		return &shown->sources[i];
	}
	snprintf(label->text, sizeof(label->text), "other");
	return shown->others && i == shown->n ? &shown->rest : NULL;
}

static void print_source_counts(const struct shown *shown, FILE *out)
{
	const struct datapath_source *source;
	struct address_text label;
	char name[96];

	for (enum source_count which = 0; which < SOURCE_COUNT_MAX; which++) {
		snprintf(name, sizeof(name), "source_%s_total", source_count_name(which));
		family(out, name, "counter", source_count_help(which));
		for (size_t i = 0; (source = shown_at(shown, i, &label)); i++)
			sample(out, name, "address", label.text,
				source_count_of(&source->counters, which));
	}
}

static void print_source_drops(const struct shown *shown, FILE *out)
{
	const struct datapath_source *source;
	struct address_text label;

	family_of(out, "source_drops_total", "counter", "packets from the source that were dropped",
		DROP_COUNT, drop_value, drop_meaning);
	for (size_t i = 0; (source = shown_at(shown, i, &label)); i++)
		for (enum drop drop = 0; drop < DROP_COUNT; drop++)
			fprintf(out,
				"sallyport_source_drops_total{address=\"%s\",reason=\"%s\"} "
				"%" PRIu64 "\n",
				label.text, drop_name(drop),
				(uint64_t)source->counters.drops[drop]);
}

static void print_sources(const struct exposition *e, FILE *out)
{
	const struct datapath_status *k = e->kernel;
	const uint64_t realtime_ns = clock_realtime_ns();
	const struct datapath_source *source;
	struct address_text label;
	struct shown shown;

	shown_make(&shown, e);
	gauge(out, "sources", "source addresses that are counted", k->nsources);
	if (k->nsources == 0)
		return;
	print_source_counts(&shown, out);
	family(out, "source_connections_active", "gauge", "connections of the source, open now");
	for (size_t i = 0; (source = shown_at(&shown, i, &label)); i++)
		sample(out, "source_connections_active", "address", label.text, source->active);
	print_source_drops(&shown, out);
	family(out, "source_seen_timestamp_seconds", "gauge",
		"when the last packet of the source came, within a third of a second");
	for (size_t i = 0; (source = shown_at(&shown, i, &label)); i++)
		if (source->counters.seen_ns && source->counters.seen_ns <= k->read_ns)
			seconds(out, "source_seen_timestamp_seconds", "address", label.text,
				realtime_ns - (k->read_ns - source->counters.seen_ns));
	family(out, "source_connections_age_seconds", "gauge",
		"since the connections of the sources were counted");
	seconds(out, "source_connections_age_seconds", NULL, NULL,
		k->swept_ns ? k->read_ns - k->swept_ns : 0);
}

/* --- the daemon --- */

/* "learn.dns_held" as sallyport_learn_dns_held_total. The table is the file's, which may be of
 * another version of the daemon. */
static void print_counters(const struct counters *counters, FILE *out)
{
	struct counter_reading reading;
	size_t at = 0;
	char name[96];

	while (counters && counters_next(counters, &at, &reading)) {
		snprintf(name, sizeof(name), "%s_total", reading.name);
		for (char *c = name; *c; c++)
			if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", *c))
				*c = '_';
		family(out, name, "counter", reading.help);
		sample(out, name, NULL, NULL, reading.total);
	}
}

/* What the shipper told, under the names of Prometheus' units. */
static void print_record(const struct record_state *r, FILE *out)
{
	gauge(out, "recording", "whether what is exchanged now is recorded",
		r->told && record_state_good(r));
	if (!r->told)
		return;
	gauge(out, "record_connected", "whether the collector is connected", r->connected);
	gauge(out, "record_blocked", "whether nothing can be spooled, so that calls will wait",
		r->blocked);
	gauge(out, "record_waiting_events",
		"events in the spool that the collector has not acknowledged", r->events);
	gauge(out, "record_waiting_bytes", "their bytes", r->bytes);
	gauge(out, "record_spool_bytes", "bytes of all files of the spool", r->spool);
	gauge(out, "record_spool_limit_bytes", "bytes that they may have (audit.spool_size)",
		r->limit);
	family(out, "record_oldest_age_seconds", "gauge",
		"how long the oldest event has waited for the collector");
	seconds(out, "record_oldest_age_seconds", NULL, NULL,
		record_state_waiting_ns(r, clock_realtime_ns()));
	family(out, "record_told_age_seconds", "gauge", "since the shipper told all this");
	seconds(out, "record_told_age_seconds", NULL, NULL, r->age_ns);
}

static void print_selftest(const struct selftest_outcome *selftest, FILE *out)
{
	const uint64_t now_ns = clock_realtime_ns();

	if (!selftest->known)
		return;
	gauge(out, "selftest_good", "whether no check of the last selftest failed", selftest->good);
	family(out, "selftest_age_seconds", "gauge", "since the last selftest");
	seconds(out, "selftest_age_seconds", NULL, NULL,
		now_ns > selftest->time_ns ? now_ns - selftest->time_ns : 0);
	family(out, "selftest_result", "gauge",
		"what a check of the last selftest found: 0 good, 1 not checked, 2 worth a look, "
		"3 failed");
	for (size_t i = 0; i < nselftest_checks; i++)
		sample(out, "selftest_result", "check", selftest_checks[i].name,
			selftest->results[i]);
}

#define LIMIT_SAMPLES 100 /* of each limit */

/* ---- the backends ---- */

struct backend_count {
	const char *name, *type, *help;
	size_t member; /* of struct standing_row; 0: whether it is asked now */
};

static void print_backend(const struct backend_count *count, const char *backend,
	const struct standing_row *row, FILE *out)
{
	char deployment[STANDING_NAME];
	uint64_t until_ns, value;

	snprintf(deployment, sizeof(deployment), "%.*s",
		(int)strnlen(row->deployment, STANDING_NAME - 1), row->deployment);
	if (count->member)
		value = atomic_load_explicit(
			(const _Atomic uint64_t *)(const void *)((const char *)row + count->member),
			memory_order_relaxed);
	else
		value = breaker_state(row, clock_monotonic_ns(), &until_ns) <= BREAKER_LOW;
	fprintf(out, "sallyport_%s{backend=\"%s\",deployment=\"", count->name, backend);
	print_escaped(out, deployment, true);
	fprintf(out, "\"} %" PRIu64 "\n", value);
}

/* Of each backend as a whole (its deployment is empty), and of each deployment that was asked. */
static void print_backends(const struct exposition *e, FILE *out)
{
#define ROW(member) offsetof(struct standing_row, member)
	static const struct backend_count counts[] = {
		{"backend_asked", "gauge", "whether calls go to the backend now", 0},
		{"backend_calls_total", "counter", "attempts whose outcome is known", ROW(calls)},
		{"backend_failed_total", "counter", "of those: without an answer", ROW(failed)},
		{"backend_throttled_total", "counter", "of those: over the limit", ROW(throttled)},
		{"backend_out_total", "counter", "times that it was taken out", ROW(tripped)},
		{"backend_input_tokens_total", "counter", "of answers that told them", ROW(input_tokens)},
		{"backend_cached_tokens_total", "counter", "of those: in the provider's prompt cache",
			ROW(cached_tokens)},
	};
#undef ROW

	for (size_t i = 0; e->standing && i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (e->config->nbackends)
			family(out, counts[i].name, counts[i].type, counts[i].help);
		for (size_t b = 0; b < e->config->nbackends; b++)
			for (size_t r = 0; r < STANDING_ROWS; r++) {
				const struct standing_row *row = standing_at(e->standing, r);

				if (row && strncmp(row->backend, e->config->backends[b].name,
						   STANDING_NAME - 1) == 0)
					print_backend(&counts[i], e->config->backends[b].name, row, out);
			}
	}
}

/* ---- the limits ---- */

static void print_limit(
	FILE *out, const char *name, const struct limits_report *report, const struct limits_row *row)
{
	const struct limit *limit = &report->set->limits[row->limit];
	const struct limit_reading *r = &row->reading;
	bool most = strcmp(name, "limit_most") == 0;
	uint64_t amount = most ? limit_most(limit) : r->sum.used + r->sum.reserved;

	fprintf(out, "sallyport_%s{limit=\"%s\",measure=\"%s\",who=\"", name, limit->name,
		limit_measure_name(r->measure));
	print_escaped(out, r->who, true);
	fprintf(out, "\"} %.8g\n", (double)amount / (double)limit_measure_unit(r->measure));
}

/* Of whom most is used, of each limit: who is counted, clients may invent. */
static void print_limits(const struct limits_report *report, FILE *out)
{
	static const char *const families[2][2] = {
		{"limit_used", "what is used and reserved of the limit in its period of now"},
		{"limit_most", "what may be used of it in a period"}};
	size_t told = 0;

	for (int f = 0; report && f < 2; f++) {
		family(out, families[f][0], "gauge", families[f][1]);
		for (size_t i = 0; i < report->nrows; i++) {
			told = i && report->rows[i].limit == report->rows[i - 1].limit ? told + 1 : 0;
			if (told < LIMIT_SAMPLES)
				print_limit(out, families[f][0], report, &report->rows[i]);
		}
	}
}

void exposition_print(const struct exposition *exposition, FILE *out)
{
	struct record_state record;

	family(out, "build_info", "gauge", "the version of this command");
	sample(out, "build_info", "version", SALLYPORT_VERSION, 1);
	gauge(out, "daemon_counters", "whether there are counters of a daemon",
		exposition->counters != NULL);
	print_programs(exposition->kernel, out);
	print_workers(exposition, out);
	print_endpoints(exposition->kernel, out);
	print_packets(exposition->kernel, out);
	print_sources(exposition, out);
	record = record_state_read(exposition->counters, clock_monotonic_ns());
	print_record(&record, out);
	print_selftest(&exposition->selftest, out);
	print_backends(exposition, out);
	print_limits(exposition->limits, out);
	print_counters(exposition->counters, out);
}
