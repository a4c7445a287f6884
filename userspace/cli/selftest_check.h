/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Am I really inspecting?" One table of checks; each tells what it has seen and what to do. */
#ifndef CLI_SELFTEST_CHECK_H
#define CLI_SELFTEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/counter.h"
#include "cli/record_state.h"
#include "config/config.h"
#include "kernel/datapath_status.h"

/* From good to bad. A note is no failure: it is worth a look. */
enum selftest_result { SELFTEST_GOOD, SELFTEST_SKIPPED, SELFTEST_NOTE, SELFTEST_FAILED };

struct finding {
	enum selftest_result result;
	char seen[320];
	char fix[320]; /* "": nothing is to be done */
};

/* A configured name, and what the DNS says of it. */
struct selftest_name {
	const char *name;
	bool answered;
	int error; /* of the resolver, when there is no address */
	struct address addresses[8];
	size_t n;
};
#define SELFTEST_NAMES 16

struct selftest {
	const char *config_path;
	const struct config *config;
	bool running, changed; /* see struct observed */
	bool refused;	       /* the file on disk cannot be used */
	const struct datapath_status *kernel; /* DATAPATH_ALL */
	struct counters *counters;	      /* NULL: no daemon */
	struct record_state record;
	char outside[16]; /* the interface of the default route; "": there is none */
	struct selftest_name names[SELFTEST_NAMES];
	size_t nnames;
};

struct selftest_check {
	const char *name;
	const char *question;
	void (*run)(const struct selftest *selftest, struct finding *finding);
};
extern const struct selftest_check selftest_checks[];
extern const size_t nselftest_checks;

/* Sets the finding; fix may be NULL. */
__attribute__((format(printf, 3, 4))) void finding_set(
	struct finding *finding, enum selftest_result result, const char *seen, ...);
__attribute__((format(printf, 2, 3))) void finding_fix(
	struct finding *finding, const char *fix, ...);
/* "good", "skipped", "note", "failed". */
const char *selftest_result_name(enum selftest_result result);

/* selftest_kernel.c */
void selftest_daemon(const struct selftest *selftest, struct finding *finding);
void selftest_programs(const struct selftest *selftest, struct finding *finding);
void selftest_xdp(const struct selftest *selftest, struct finding *finding);
void selftest_workers(const struct selftest *selftest, struct finding *finding);
void selftest_routing(const struct selftest *selftest, struct finding *finding);
void selftest_endpoints(const struct selftest *selftest, struct finding *finding);
void selftest_replies(const struct selftest *selftest, struct finding *finding);
/* selftest_machine.c */
void selftest_forwarding(const struct selftest *selftest, struct finding *finding);
void selftest_settings(const struct selftest *selftest, struct finding *finding);
void selftest_interface(const struct selftest *selftest, struct finding *finding);
void selftest_route(const struct selftest *selftest, struct finding *finding);
void selftest_offloads(const struct selftest *selftest, struct finding *finding);
void selftest_mtu(const struct selftest *selftest, struct finding *finding);
void selftest_conntrack(const struct selftest *selftest, struct finding *finding);
void selftest_time(const struct selftest *selftest, struct finding *finding);
void selftest_keepalive(const struct selftest *selftest, struct finding *finding);
/* Sets selftest->outside. */
void selftest_find_outside(struct selftest *selftest);
/* The kernel settings that differ from what the appliance wants: calls told for each, with a sentence,
 * and returns how many of them it must have. inside: the interface. */
size_t selftest_settings_differ(const char *inside,
	void (*told)(void *context, bool must, const char *problem), void *context);
/* selftest_names.c */
void selftest_ca(const struct selftest *selftest, struct finding *finding);
void selftest_dns(const struct selftest *selftest, struct finding *finding);
void selftest_private(const struct selftest *selftest, struct finding *finding);
void selftest_collector(const struct selftest *selftest, struct finding *finding);
void selftest_record(const struct selftest *selftest, struct finding *finding);
/* Looks the configured names up: within a few seconds. */
void selftest_find_names(struct selftest *selftest);
/* selftest_call.c: makes a namespace and a pair of interfaces for the time of the call. */
void selftest_call(const struct selftest *selftest, struct finding *finding);
void selftest_call_ipv6(const struct selftest *selftest, struct finding *finding);

#endif
