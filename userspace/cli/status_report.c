// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/status_report.h"

#include <inttypes.h>
#include <time.h>
#include <yyjson.h>

#include "base/clock.h"
#include "cli/credential_report.h"
#include "cli/inspecting.h"
#include "cli/json_print.h"
#include "cli/source_report.h"

bool status_report_inspecting(const struct status_report *report)
{
	return inspecting(report->kernel);
}

static struct address_text prefix_format(const struct prefix *p)
{
	struct address_text address = address_format(&p->address), text;
	unsigned bits = p->bits, whole = 128;

	if (address_is_ipv4(&p->address) && bits >= 96) {
		bits -= 96;
		whole = 32;
	}
	if (bits == whole)
		return address;
	snprintf(text.text, sizeof(text.text), "%.45s/%u", address.text, bits);
	return text;
}

static uint64_t clock_boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void text_program(
	FILE *out, const char *label, const char *where, const struct datapath_program *p)
{
	uint64_t now = clock_boottime_ns();

	fprintf(out, "  %-10s ", label);
	if (p->foreign)
		fprintf(out, "not attached: a foreign program (%u %s) is on %s\n", p->id, p->name,
			where);
	else if (!p->attached)
		fprintf(out, "not attached\n");
	else
		fprintf(out, "%s%s%s, program %u, loaded %s ago\n", where, *p->mode ? " " : "",
			p->mode, p->id,
			age_format(now > p->loaded_ns ? now - p->loaded_ns : 0).text);
}

static void text_guard(FILE *out, const struct datapath_status *k)
{
	fprintf(out, "  %-10s %s%s%s on %u of %u interfaces", "guard",
		k->guarded ? "TC" : "not attached:", *k->guard.mode ? " " : "", k->guard.mode,
		k->guarded, k->guardable);
	if (*k->unguarded)
		fprintf(out, ", not on %s: what leaves by it past the gate is not seen",
			k->unguarded);
	fputc('\n', out);
}

static const char *text_both(bool ipv4, bool ipv6)
{
	return ipv4 ? (ipv6 ? "IPv4 and IPv6" : "IPv4 only") : (ipv6 ? "IPv6 only" : "none");
}

static uint64_t heartbeat_age(const struct datapath_status *k, unsigned i)
{
	return k->read_ns > k->heartbeats[i] ? k->read_ns - k->heartbeats[i] : 0;
}

/* Hosts that differ from datapath.fail are told with their endpoints. */
static void text_heartbeats(const struct status_report *report, FILE *out)
{
	const struct datapath_status *k = report->kernel;
	const char *separator = "last seen";

	fprintf(out, "  %-10s %s", "fail",
		report->config->datapath.fail == CONFIG_FAIL_OPEN ? "open" : "closed");
	if (k->settings.heartbeat_ns)
		fprintf(out, ", after %" PRIu64 " ms without a sign of life",
			(uint64_t)(k->settings.heartbeat_ns / NS_PER_MS));
	fprintf(out, "\n  %-10s %u of %u; ", "alive", k->alive, k->workers);
	for (unsigned i = 0; i < HEARTBEATS_MAX; i++) {
		uint64_t age = heartbeat_age(k, i);

		if (!k->heartbeats[i] || (i >= k->workers && i != HEARTBEAT_SCOUT))
			continue;
		fputs(separator, out);
		separator = ",";
		if (i == HEARTBEAT_SCOUT)
			fprintf(out, " scout %" PRIu64 " ms ago", (uint64_t)(age / NS_PER_MS));
		else
			fprintf(out, " worker %u %" PRIu64 " ms ago", i,
				(uint64_t)(age / NS_PER_MS));
	}
	fprintf(out, "%s\n", *separator == ',' ? "" : "no sign of life is looked at");
}

/* Connections that passed since the record was written are the kernel's last word on it. */
static uint64_t unseen_since(const struct status_report *report)
{
	uint64_t total = report->kernel->outcomes[OUTCOME_FAILED_OPEN];

	return total > report->open.total ? total - report->open.total : 0;
}

static void text_open(const struct status_report *report, FILE *out)
{
	const struct open_record *open = &report->open;
	uint64_t since = unseen_since(report), now = clock_realtime_ns();

	if (!open->begin_ns && !since)
		return;
	fprintf(out, "  %-10s ", "open");
	if (open->begin_ns && !open->end_ns)
		fprintf(out, "for %s: %" PRIu64 " connections passed unseen",
			age_format(now > open->begin_ns ? now - open->begin_ns : 0).text,
			open->passed + since);
	else if (since)
		fprintf(out, "%" PRIu64 " connections passed unseen since the daemon looked", since);
	else
		fprintf(out, "it was, until %s ago, for %.1f s: %" PRIu64
			     " connections passed unseen",
			age_format(now > open->end_ns ? now - open->end_ns : 0).text,
			(double)(open->end_ns - open->begin_ns) / 1e9, open->passed);
	fputc('\n', out);
}

static void text_kernel(const struct status_report *report, FILE *out)
{
	const struct datapath_status *k = report->kernel;

	fprintf(out, "Kernel, interface %s", k->inside);
	if (k->ifindex)
		fprintf(out, " (%d)\n", k->ifindex);
	else
		fprintf(out, ", which does not exist\n");
	text_program(out, "admit", "XDP", &k->admit);
	text_program(out, "steer", "TC", &k->steer);
	text_program(out, "reply", "TC", &k->reply);
	text_program(out, "select", "sk_lookup", &k->select);
	text_guard(out, k);
	fprintf(out, "  %-10s %s\n", "rules", text_both(k->rule4, k->rule6));
	fprintf(out, "  %-10s %s\n", "routes", text_both(k->route4, k->route6));
	fprintf(out, "  %-10s %u, listening: %u on IPv4, %u on IPv6\n", "workers", k->workers,
		k->listening4, k->listening6);
	text_heartbeats(report, out);
	text_open(report, out);
	fprintf(out,
		"  %-10s %" PRIu64 ", of these steered %" PRIu64 "; active %" PRIu64
		", of these steered %" PRIu64 "\n",
		"flows", k->flows.all, k->flows.steered, k->flows.active, k->flows.steered_active);
	if (k->flows.unanswered)
		fprintf(out,
			"  %-10s of %" PRIu64 " active flows nothing came back through %s: their "
			"answers take another way\n",
			"answers", k->flows.unanswered, k->inside);
}

static void text_record(const struct status_report *report, FILE *out)
{
	const struct record_state *r = &report->record;
	const struct config_audit *audit = &report->config->audit;
	uint64_t waiting_ns = record_state_waiting_ns(r, clock_realtime_ns());

	fprintf(out, "\nRecord: %s\n", record_state_word(r));
	if (!r->told)
		return;
	fprintf(out, "  %-10s %s, %s\n", "collector", config_collector_name(audit).text,
		r->connected ? "connected" : "not connected");
	fprintf(out, "  %-10s %s%" PRIu64 " events, %" PRIu64 " bytes", "waiting",
		r->counting ? "at least " : "", r->events, r->bytes);
	if (waiting_ns)
		fprintf(out, ", the oldest for %s", age_format(waiting_ns).text);
	fprintf(out, "\n  %-10s %.1f %% of %" PRIu64 " MiB%s\n", "spool",
		r->limit ? 100 * (double)r->spool / (double)r->limit : 0, r->limit >> 20,
		r->blocked ? "; nothing can be spooled: calls wait, or will" : "");
	if (r->age_ns >= RECORD_SILENT_NS)
		fprintf(out, "  %-10s told this %s ago, and nothing since\n", "shipper",
			age_format(r->age_ns).text);
}

static void text_endpoints(const struct status_report *report, FILE *out)
{
	const struct datapath_status *k = report->kernel;
	uint64_t now = clock_monotonic_ns();

	fprintf(out, "\nEndpoints: %zu\n", k->nendpoints);
	for (size_t i = 0; i < k->nendpoints; i++) {
		const struct datapath_known_endpoint *e = &k->endpoints[i];

		if (report->most && i == report->most) {
			fprintf(out, "  and %zu more (--all)\n", k->nendpoints - i);
			break;
		}
		fprintf(out, "  %-40s %s", prefix_format(&e->prefix).text,
			endpoint_source_name(e->source));
		if (e->expires_ns)
			fprintf(out, ", for %s",
				age_format(e->expires_ns > now ? e->expires_ns - now : 0).text);
		if (e->fail == FAIL_OPEN)
			fprintf(out, ", fails open");
		fputc('\n', out);
	}
}

static void text_admission(const struct status_report *report, FILE *out)
{
	const struct datapath_status *k = report->kernel;

	if (k->admission_unread)
		fprintf(out, "\nAdmission: prefixes that may not be read\n");
	else
		fprintf(out, "\nAdmission: %zu prefixes\n", k->nadmission);
	if (k->settings.syn_interval_ns)
		fprintf(out, "  %" PRIu64 " SYNs per second and source, %" PRIu64 " at once\n",
			(uint64_t)(NS_PER_S / k->settings.syn_interval_ns),
			(uint64_t)(k->settings.syn_burst_ns / k->settings.syn_interval_ns));
	if (k->settings.connections_max)
		fprintf(out, "  %u connections per source\n", k->settings.connections_max);
	for (size_t i = 0; i < k->nadmission; i++) {
		if (report->most && i == report->most) {
			fprintf(out, "  and %zu more (--all)\n", k->nadmission - i);
			break;
		}
		fprintf(out, "  %-40s %s\n", prefix_format(&k->admission[i].prefix).text,
			k->admission[i].rule == ADMISSION_DENY ? "deny" : "allow");
	}
}

static void text_sources(const struct status_report *report, FILE *out)
{
	const struct datapath_status *k = report->kernel;
	uint64_t now = clock_monotonic_ns();

	fprintf(out, "\nSource addresses: %zu\n", k->nsources);
	if (k->nsources)
		fprintf(out, "  %-40s %12s %16s %16s %9s %7s  %s\n", "", "packets", "bytes",
			"bytes to", "SYNs", "active", "seen");
	for (size_t i = 0; i < k->nsources; i++) {
		const struct source_counters *c = &k->sources[i].counters;

		if (report->most && i == report->most) {
			fprintf(out, "  and %zu more (--all)\n", k->nsources - i);
			break;
		}
		fprintf(out, "  %-40s %12llu %16llu %16llu %9llu %7u  %s ago",
			address_format(&k->sources[i].address).text, (unsigned long long)c->packets,
			(unsigned long long)c->bytes, (unsigned long long)c->bytes_to,
			(unsigned long long)c->syns, k->sources[i].active,
			age_format(now > c->seen_ns ? now - c->seen_ns : 0).text);
		for (enum drop drop = 0; drop < DROP_COUNT; drop++)
			if (c->drops[drop])
				fprintf(out, ", dropped %llu %s",
					(unsigned long long)c->drops[drop], drop_name(drop));
		fputc('\n', out);
	}
}

static void text_counters(const struct status_report *report, FILE *out)
{
	struct counter_reading reading;
	size_t at = 0;

	fprintf(out, "\nPackets on %s\n", report->kernel->inside);
	for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++)
		if (report->kernel->outcomes[outcome])
			fprintf(out, "  %-26s %14" PRIu64 "  %s\n", outcome_name(outcome),
				report->kernel->outcomes[outcome], outcome_help(outcome));
	if (!report->counters) {
		fprintf(out, "\nNo counters in %s: sallyportd does not run\n",
			report->config->appliance.run_directory);
		return;
	}
	fprintf(out, "\nCounters since the daemon started\n");
	while (counters_next(report->counters, &at, &reading))
		if (reading.total)
			fprintf(out, "  %-26s %14" PRIu64 "  %s\n", reading.name, reading.total,
				reading.help);
}

void status_report_text(const struct status_report *report, FILE *out)
{
	text_kernel(report, out);
	text_record(report, out);
	credential_report_text(report->credentials, clock_realtime_ns(), out);
	text_endpoints(report, out);
	text_admission(report, out);
	text_sources(report, out);
	text_counters(report, out);
}

/* --- JSON --- */

static void json_program(yyjson_mut_doc *doc, yyjson_mut_val *programs, const char *key,
	const struct datapath_program *p)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, programs, key);

	yyjson_mut_obj_add_bool(doc, o, "attached", p->attached);
	yyjson_mut_obj_add_bool(doc, o, "foreign", p->foreign);
	if (*p->mode)
		yyjson_mut_obj_add_str(doc, o, "mode", p->mode);
	if (p->attached || p->foreign) {
		yyjson_mut_obj_add_uint(doc, o, "id", p->id);
		yyjson_mut_obj_add_strcpy(doc, o, "name", p->name);
	}
}

static void json_guard(
	yyjson_mut_doc *doc, yyjson_mut_val *programs, const struct datapath_status *k)
{
	yyjson_mut_val *o;

	json_program(doc, programs, "guard", &k->guard);
	o = yyjson_mut_obj_get(programs, "guard");
	yyjson_mut_obj_add_uint(doc, o, "interfaces", k->guardable);
	yyjson_mut_obj_add_uint(doc, o, "guarded", k->guarded);
	if (*k->unguarded)
		yyjson_mut_obj_add_strcpy(doc, o, "unguarded", k->unguarded);
}

static void json_flows(yyjson_mut_doc *doc, yyjson_mut_val *kernel, const struct datapath_status *k)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, kernel, "flows"), *states;

	yyjson_mut_obj_add_uint(doc, o, "all", k->flows.all);
	yyjson_mut_obj_add_uint(doc, o, "steered", k->flows.steered);
	yyjson_mut_obj_add_uint(doc, o, "active", k->flows.active);
	yyjson_mut_obj_add_uint(doc, o, "steered_active", k->flows.steered_active);
	yyjson_mut_obj_add_uint(doc, o, "unanswered", k->flows.unanswered);
	states = yyjson_mut_obj_add_obj(doc, o, "states");
	for (enum flow_state i = 0; i < FLOW_STATE_COUNT; i++)
		yyjson_mut_obj_add_uint(doc, states, flow_state_name(i), k->flows.states[i]);
}

/* Ages; null: there was no sign of life. */
static void json_heartbeats(
	yyjson_mut_doc *doc, yyjson_mut_val *kernel, const struct datapath_status *k)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, kernel, "heartbeats"), *workers;

	yyjson_mut_obj_add_uint(doc, o, "timeout_ns", k->settings.heartbeat_ns);
	if (k->heartbeats[HEARTBEAT_SCOUT])
		yyjson_mut_obj_add_uint(doc, o, "scout_age_ns", heartbeat_age(k, HEARTBEAT_SCOUT));
	workers = yyjson_mut_obj_add_arr(doc, o, "worker_age_ns");
	for (unsigned i = 0; i < k->workers && i < WORKERS_MAX; i++)
		if (k->heartbeats[i])
			yyjson_mut_arr_add_uint(doc, workers, heartbeat_age(k, i));
		else
			yyjson_mut_arr_add_null(doc, workers);
}

static void json_admission(
	yyjson_mut_doc *doc, yyjson_mut_val *root, const struct datapath_status *k)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "admission"), *prefixes;

	yyjson_mut_obj_add_bool(doc, o, "in_force", k->settings.admission != 0);
	yyjson_mut_obj_add_uint(doc, o, "syn_interval_ns", k->settings.syn_interval_ns);
	yyjson_mut_obj_add_uint(doc, o, "syn_burst_ns", k->settings.syn_burst_ns);
	yyjson_mut_obj_add_uint(doc, o, "connections", k->settings.connections_max);
	yyjson_mut_obj_add_uint(doc, o, "flood_rate", k->settings.flood_rate);
	if (k->admission_unread)
		return;
	prefixes = yyjson_mut_obj_add_arr(doc, o, "prefixes");
	for (size_t i = 0; i < k->nadmission; i++) {
		yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, prefixes);

		yyjson_mut_obj_add_strcpy(
			doc, row, "prefix", prefix_format(&k->admission[i].prefix).text);
		yyjson_mut_obj_add_str(doc, row, "rule",
			k->admission[i].rule == ADMISSION_DENY ? "deny" : "allow");
	}
}

static void json_kernel(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct datapath_status *k)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "kernel");
	yyjson_mut_val *programs = yyjson_mut_obj_add_obj(doc, o, "programs");
	yyjson_mut_val *outcomes = yyjson_mut_obj_add_obj(doc, o, "packets");

	json_program(doc, programs, "admit", &k->admit);
	json_program(doc, programs, "steer", &k->steer);
	json_program(doc, programs, "reply", &k->reply);
	json_program(doc, programs, "select", &k->select);
	json_guard(doc, programs, k);
	yyjson_mut_obj_add_str(doc, o, "inside", k->inside);
	yyjson_mut_obj_add_int(doc, o, "ifindex", k->ifindex);
	yyjson_mut_obj_add_bool(doc, o, "pinned", k->pinned);
	yyjson_mut_obj_add_bool(doc, o, "rule4", k->rule4);
	yyjson_mut_obj_add_bool(doc, o, "rule6", k->rule6);
	yyjson_mut_obj_add_bool(doc, o, "route4", k->route4);
	yyjson_mut_obj_add_bool(doc, o, "route6", k->route6);
	yyjson_mut_obj_add_uint(doc, o, "workers", k->workers);
	yyjson_mut_obj_add_uint(doc, o, "listening4", k->listening4);
	yyjson_mut_obj_add_uint(doc, o, "listening6", k->listening6);
	yyjson_mut_obj_add_uint(doc, o, "alive", k->alive);
	json_flows(doc, o, k);
	json_heartbeats(doc, o, k);
	for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++)
		yyjson_mut_obj_add_uint(doc, outcomes, outcome_name(outcome), k->outcomes[outcome]);
}

static void json_record(
	yyjson_mut_doc *doc, yyjson_mut_val *root, const struct record_state *r)
{
	yyjson_mut_val *o;

	yyjson_mut_obj_add_bool(doc, root, "recording", r->told && record_state_good(r));
	if (!r->told)
		return;
	o = yyjson_mut_obj_add_obj(doc, root, "record");
	yyjson_mut_obj_add_str(doc, o, "state", record_state_word(r));
	yyjson_mut_obj_add_bool(doc, o, "connected", r->connected);
	yyjson_mut_obj_add_bool(doc, o, "blocked", r->blocked);
	yyjson_mut_obj_add_uint(doc, o, "waiting_events", r->events);
	yyjson_mut_obj_add_bool(doc, o, "counting", r->counting);
	yyjson_mut_obj_add_uint(doc, o, "waiting_bytes", r->bytes);
	yyjson_mut_obj_add_uint(
		doc, o, "oldest_age_ns", record_state_waiting_ns(r, clock_realtime_ns()));
	yyjson_mut_obj_add_uint(doc, o, "spool_bytes", r->spool);
	yyjson_mut_obj_add_uint(doc, o, "spool_limit_bytes", r->limit);
	yyjson_mut_obj_add_uint(doc, o, "told_age_ns", r->age_ns);
}

static void json_tables(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct datapath_status *k)
{
	yyjson_mut_val *endpoints = yyjson_mut_obj_add_arr(doc, root, "endpoints");
	yyjson_mut_val *sources = yyjson_mut_obj_add_arr(doc, root, "sources");

	for (size_t i = 0; i < k->nendpoints; i++) {
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, endpoints);

		yyjson_mut_obj_add_strcpy(
			doc, o, "prefix", prefix_format(&k->endpoints[i].prefix).text);
		yyjson_mut_obj_add_str(
			doc, o, "source", endpoint_source_name(k->endpoints[i].source));
		yyjson_mut_obj_add_uint(doc, o, "expires_ns", k->endpoints[i].expires_ns);
		yyjson_mut_obj_add_str(doc, o, "fail", fail_name(k->endpoints[i].fail));
	}
	for (size_t i = 0; i < k->nsources; i++)
		source_json(doc, yyjson_mut_arr_add_obj(doc, sources), &k->sources[i]);
}

/* null: never, as far as it is known. */
static void json_open(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct status_report *report)
{
	const struct open_record *open = &report->open;
	uint64_t since = unseen_since(report);
	yyjson_mut_val *o;

	if (!open->begin_ns && !since) {
		yyjson_mut_obj_add_null(doc, root, "open");
		return;
	}
	o = yyjson_mut_obj_add_obj(doc, root, "open");
	yyjson_mut_obj_add_bool(doc, o, "now", open->begin_ns && !open->end_ns);
	yyjson_mut_obj_add_uint(doc, o, "begin_ns", open->begin_ns);
	yyjson_mut_obj_add_uint(doc, o, "end_ns", open->end_ns);
	yyjson_mut_obj_add_uint(doc, o, "passed", open->passed + (open->end_ns ? 0 : since));
	yyjson_mut_obj_add_uint(doc, o, "passed_since", open->end_ns ? since : 0);
}

int status_report_json(const struct status_report *report, FILE *out)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL, *counters;
	struct counter_reading reading;
	size_t at = 0;

	if (root) {
		yyjson_mut_doc_set_root(doc, root);
		yyjson_mut_obj_add_str(doc, root, "name", report->config->appliance.name);
		yyjson_mut_obj_add_bool(doc, root, "inspecting", status_report_inspecting(report));
		yyjson_mut_obj_add_str(doc, root, "fail",
			report->config->datapath.fail == CONFIG_FAIL_OPEN ? "open" : "closed");
		json_record(doc, root, &report->record);
		json_kernel(doc, root, report->kernel);
		json_open(doc, root, report);
		credential_report_json(report->credentials, doc, root);
		json_admission(doc, root, report->kernel);
		json_tables(doc, root, report->kernel);
		counters = report->counters ? yyjson_mut_obj_add_obj(doc, root, "counters") : NULL;
		while (counters && counters_next(report->counters, &at, &reading))
			yyjson_mut_obj_add_uint(doc, counters, reading.name, reading.total);
	}
	return json_print(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, out);
}
