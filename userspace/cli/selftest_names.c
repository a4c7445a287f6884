// SPDX-License-Identifier: GPL-2.0-or-later
/* Names and certificates, and the way of the record. */
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <openssl/asn1.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "backend/resolver.h"
#include "base/clock.h"
#include "cli/ca_files.h"
#include "cli/selftest_check.h"
#include "cli/traffic.h"

/* --- names --- */

#define NAMES_S 6.0 /* for all of them */

static void answered(void *context, int error, const struct resolver_answer *answer)
{
	struct selftest_name *name = context;

	name->answered = true;
	name->error = error;
	for (size_t i = 0; answer && i < answer->n && name->n < 8; i++)
		name->addresses[name->n++] = answer->addresses[i];
}

static void late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void add_name(struct selftest *s, const char *name)
{
	for (size_t i = 0; i < s->nnames; i++)
		if (strcmp(s->names[i].name, name) == 0)
			return;
	if (s->nnames < SELFTEST_NAMES)
		s->names[s->nnames++] = (struct selftest_name){.name = name, .error = -ETIMEDOUT};
}

void selftest_find_names(struct selftest *s)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct resolver *resolver = resolver_new(loop, s->config, NULL);
	size_t left = 0;
	ev_timer timer;

	for (size_t i = 0; i < s->config->endpoints.nnames; i++)
		add_name(s, s->config->endpoints.names[i]);
	for (size_t i = 0; i < s->config->nhosts; i++)
		if (s->config->hosts[i].pattern[0] != '*')
			add_name(s, s->config->hosts[i].pattern);
	ev_timer_init(&timer, late, NAMES_S, 0.);
	ev_timer_start(loop, &timer);
	for (size_t i = 0; resolver && i < s->nnames; i++) {
		uint64_t ticket;

		if (resolver_lookup(resolver, s->names[i].name, answered, &s->names[i], &ticket) < 0)
			s->names[i].answered = true;
	}
	do {
		left = 0;
		for (size_t i = 0; i < s->nnames; i++)
			left += !s->names[i].answered;
		if (left && resolver)
			ev_run(loop, EVRUN_ONCE);
	} while (left && resolver && ev_is_active(&timer));
	ev_timer_stop(loop, &timer);
	resolver_free(resolver);
}

void selftest_dns(const struct selftest *s, struct finding *f)
{
	size_t good = 0, silent = 0;
	const char *bad = NULL;

	if (!s->nnames) {
		finding_set(f, SELFTEST_NOTE, "no exact name is configured: endpoints are only learned "
					      "from what passes by");
		finding_fix(f, "name your resources under endpoints.names");
		return;
	}
	for (size_t i = 0; i < s->nnames; i++) {
		good += s->names[i].n > 0;
		silent += s->names[i].error == -ETIMEDOUT || s->names[i].error == -ECONNREFUSED;
		if (!s->names[i].n && !bad)
			bad = s->names[i].name;
	}
	if (!bad) {
		finding_set(f, SELFTEST_GOOD, "%zu names have addresses", good);
		return;
	}
	finding_set(f, good ? SELFTEST_NOTE : SELFTEST_FAILED,
		"%zu of %zu names have no address, %s among them%s", s->nnames - good, s->nnames, bad,
		silent ? ": no server answers" : "");
	finding_fix(f, silent ? "see endpoints.resolvers, or /etc/resolv.conf, and that port 53 is open"
			      : "correct the name in the configuration");
}

/* RFC 1918, RFC 6598, RFC 4193. */
static bool is_private(const struct address *address)
{
	static const char *const prefixes[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"};
	struct prefix prefix;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (prefix_parse(prefixes[i], &prefix) == 0 && prefix_contains(&prefix, address))
			return true;
	return false;
}

void selftest_private(const struct selftest *s, struct finding *f)
{
	for (size_t i = 0; i < s->nnames; i++)
		for (size_t j = 0; j < s->names[i].n; j++) {
			if (!is_private(&s->names[i].addresses[j]))
				continue;
			finding_set(f, SELFTEST_NOTE,
				"%s is a private endpoint (%s): its /32 route wins over the route to the "
				"appliance, and calls may pass by unseen",
				s->names[i].name, address_format(&s->names[i].addresses[j]).text);
			finding_fix(f, "enable network policies for route tables on the endpoint's "
				       "subnet (privateEndpointNetworkPolicies: RouteTableEnabled), and "
				       "route the endpoint's subnet here");
			return;
		}
	if (s->nnames)
		finding_set(f, SELFTEST_GOOD, "no configured name is a private endpoint");
	else
		finding_set(f, SELFTEST_SKIPPED, "no exact name is configured");
}

/* --- the authority --- */

struct lint {
	size_t n, refused;
	char first[256]; /* what is refused before what is only worth a warning */
};

static void lint_told(void *context, enum ca_refused refused, const char *problem)
{
	struct lint *lint = context;
	bool first = refused == CA_REFUSED ? lint->refused++ == 0 : lint->n == 0;

	lint->n++;
	if (first)
		snprintf(lint->first, sizeof(lint->first), "%s", problem);
}

#define CA_DAYS 60 /* before its end there is time for a rotation */

void selftest_ca(const struct selftest *s, struct finding *f)
{
	const char *path = s->config->tls.ca_certificate;
	struct lint lint = {0};
	struct ca *ca = NULL;
	int days = 0, seconds;
	struct why why;

	if (ca_files_read(path, NULL, &ca, &why) < 0) {
		finding_set(f, SELFTEST_FAILED, "%s", why.text);
		finding_fix(f, "sallyport ca init, or ca import");
		return;
	}
	ca_lint(ca, clock_realtime_ns(), lint_told, &lint);
	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(ca->certificate)))
		days = 0;
	if (lint.n) {
		finding_set(f, lint.refused ? SELFTEST_FAILED : SELFTEST_NOTE, "%s: %s", path,
			lint.first);
		finding_fix(f, "sallyport ca lint tells all of it; ca init or ca import replaces it");
	} else if (days < CA_DAYS) {
		finding_set(f, SELFTEST_NOTE, "%s ends in %d days", path, days);
		finding_fix(f, "rotate it now, with both roots trusted meanwhile: see the page on "
			       "rotation");
	} else {
		finding_set(f, SELFTEST_GOOD, "the CA is fit for strict clients, for %d more days", days);
	}
	ca_free(ca);
}

/* --- the record --- */

void selftest_collector(const struct selftest *s, struct finding *f)
{
	const struct record_state *r = &s->record;
	uint64_t waiting_ns = record_state_waiting_ns(r, clock_realtime_ns());

	if (!r->told) {
		finding_set(f, SELFTEST_FAILED, "no shipper tells anything");
		finding_fix(f, "see the check daemon");
	} else if (r->connected) {
		finding_set(f, SELFTEST_GOOD, "the collector %s is connected",
			config_collector_name(&s->config->audit).text);
	} else {
		finding_set(f, SELFTEST_NOTE,
			"the collector %s is not connected; %" PRIu64 " events wait, the oldest for %s",
			config_collector_name(&s->config->audit).text, r->events,
			age_format(waiting_ns).text);
		finding_fix(f, "see that it runs and can be reached (audit.collector); nothing is lost "
			       "before the spool is full");
	}
}

/* Bytes that others than root may still write there; 0: not known. */
static uint64_t room_in(const char *directory)
{
	struct statvfs fs;

	return statvfs(directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

void selftest_record(const struct selftest *s, struct finding *f)
{
	const struct record_state *r = &s->record;
	double share = r->limit ? 100 * (double)r->spool / (double)r->limit : 0;
	uint64_t room = room_in(s->config->audit.spool_directory);

	if (!r->told) {
		finding_set(f, SELFTEST_FAILED, "no shipper tells anything");
		finding_fix(f, "see the check daemon");
	} else if (r->blocked) {
		finding_set(f, SELFTEST_FAILED,
			"nothing can be spooled: %.0f %% of the spool are taken, or its disk is full",
			share);
		finding_fix(f, "let the collector be reached, make room in %s, or raise audit.spool_size",
			s->config->audit.spool_directory);
	} else if (!record_state_good(r)) {
		finding_set(f, SELFTEST_FAILED, "the shipper has told nothing for %s",
			age_format(r->age_ns).text);
		finding_fix(f, "journalctl -u sallyportd; a disk that hangs is the likeliest");
	} else if (room && r->spool < r->limit && room < r->limit - r->spool) {
		finding_set(f, SELFTEST_NOTE,
			"audit.spool_size is %" PRIu64 " MiB, and %s has room for %" PRIu64
			" MiB more: its disk is full before the spool is",
			r->limit >> 20, s->config->audit.spool_directory, room >> 20);
		finding_fix(f, "a larger disk, or a smaller audit.spool_size");
	} else if (share >= 80) {
		finding_set(f, SELFTEST_NOTE, "%.0f %% of the spool are taken", share);
		finding_fix(f, "let the collector be reached, or raise audit.spool_size");
	} else {
		finding_set(f, SELFTEST_GOOD, "events are spooled; %.0f %% of the spool are taken",
			share);
	}
}
