// SPDX-License-Identifier: GPL-2.0-or-later
/* What is attached in the kernel, and who listens. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/selftest_check.h"

void selftest_daemon(const struct selftest *s, struct finding *f)
{
	if (!s->counters || !s->running) {
		finding_set(f, SELFTEST_FAILED, "no sallyportd runs by %s", s->config_path);
		finding_fix(f, "systemctl start sallyportd; journalctl -u sallyportd tells why it ended");
	} else if (s->refused) {
		finding_set(f, SELFTEST_NOTE, "sallyportd runs, and %s cannot be used any more",
			s->config_path);
		finding_fix(f, "sallyport check; the next start or reload would fail");
	} else if (s->changed) {
		finding_set(f, SELFTEST_NOTE, "%s has changed since sallyportd read it",
			s->config_path);
		finding_fix(f, "sallyport check && systemctl reload sallyportd");
	} else {
		finding_set(f, SELFTEST_GOOD, "sallyportd runs by %s", s->config_path);
	}
}

static void add_program(char *text, size_t size, const char *name, const struct datapath_program *p)
{
	size_t len = strlen(text);

	if (p->attached)
		return;
	snprintf(text + len, size - len, "%s%s%s%s%s", len ? ", " : "", name,
		p->foreign ? " (a foreign program is in its place: " : "",
		p->foreign ? p->name : "", p->foreign ? ")" : "");
}

void selftest_programs(const struct selftest *s, struct finding *f)
{
	const struct datapath_status *k = s->kernel;
	char missing[200] = "";

	if (s->config->datapath.xdp != CONFIG_XDP_OFF)
		add_program(missing, sizeof(missing), "admit", &k->admit);
	add_program(missing, sizeof(missing), "steer", &k->steer);
	add_program(missing, sizeof(missing), "reply", &k->reply);
	add_program(missing, sizeof(missing), "select", &k->select);
	add_program(missing, sizeof(missing), "guard", &k->guard);
	if (!*missing) {
		finding_set(f, SELFTEST_GOOD, "all kernel programs are attached to %s", k->inside);
		return;
	}
	finding_set(f, SELFTEST_FAILED, "not attached to %s: %s", k->inside, missing);
	finding_fix(f, "systemctl restart sallyportd; what else loads programs on this interface must go");
}

void selftest_xdp(const struct selftest *s, struct finding *f)
{
	const struct datapath_program *admit = &s->kernel->admit;

	if (s->config->datapath.xdp == CONFIG_XDP_OFF) {
		finding_set(f, SELFTEST_SKIPPED, "datapath.xdp is off: sources are admitted later");
	} else if (!admit->attached) {
		finding_set(f, SELFTEST_SKIPPED, "admit is not attached");
	} else if (strcmp(admit->mode, "generic") == 0 &&
		   s->config->datapath.xdp != CONFIG_XDP_GENERIC) {
		finding_set(f, SELFTEST_NOTE, "XDP runs in generic mode on %s, which costs more",
			s->kernel->inside);
		finding_fix(f, "use an interface whose driver has XDP (mlx5, mana, hv_netvsc, "
			       "virtio_net), an MTU that it takes, and no LRO");
	} else {
		finding_set(f, SELFTEST_GOOD, "XDP runs in %s mode", admit->mode);
	}
}

void selftest_workers(const struct selftest *s, struct finding *f)
{
	const struct datapath_status *k = s->kernel;

	if (k->workers && k->alive == k->workers) {
		finding_set(f, SELFTEST_GOOD, "%u of %u workers are alive", k->alive, k->workers);
		return;
	}
	finding_set(f, k->alive ? SELFTEST_NOTE : SELFTEST_FAILED,
		"%u of %u workers are alive; new calls of the others are %s", k->alive, k->workers,
		s->config->datapath.fail == CONFIG_FAIL_OPEN ? "passed UNINSPECTED (fail: open)"
							     : "reset (fail: closed)");
	finding_fix(f, "journalctl -u sallyportd tells why they end or hang");
}

void selftest_routing(const struct selftest *s, struct finding *f)
{
	const struct datapath_status *k = s->kernel;
	bool four = k->rule4 && k->route4, six = k->rule6 && k->route6;

	if (four && six) {
		finding_set(f, SELFTEST_GOOD, "the rule and the route of steered packets are there");
	} else if (four) {
		finding_set(f, SELFTEST_NOTE,
			"the rule and the route of steered packets are there for IPv4 alone");
		finding_fix(f, "systemctl restart sallyportd, unless IPv6 is off on this machine");
	} else {
		finding_set(f, SELFTEST_FAILED,
			"missing:%s%s: what is steered is not delivered to the workers",
			k->rule4 ? "" : " the rule", k->route4 ? "" : " the route");
		finding_fix(f, "what removes foreign rules must let them be (systemd-networkd: "
			       "ManageForeignRoutingPolicyRules=no); then restart sallyportd");
	}
}

void selftest_endpoints(const struct selftest *s, struct finding *f)
{
	const struct datapath_status *k = s->kernel;

	if (k->nendpoints) {
		finding_set(f, SELFTEST_GOOD, "%zu addresses and prefixes are steered", k->nendpoints);
	} else if (s->config->endpoints.steer == CONFIG_STEER_ALL) {
		finding_set(f, SELFTEST_GOOD, "every address is steered (endpoints.steer: all)");
	} else {
		finding_set(f, SELFTEST_NOTE,
			"no address is an endpoint yet: nothing is steered until one is learned");
		finding_fix(f, "name your resources under endpoints.names");
	}
}

/* Packets of connections that were passed, both ways: replies that take another way come to nobody's
 * count. */
void selftest_replies(const struct selftest *s, struct finding *f)
{
	const struct datapath_status *k = s->kernel;
	uint64_t sent = 0, received = 0, one_way = 0, sources = 0;

	for (size_t i = 0; i < k->nsources; i++) {
		const struct source_counters *c = &k->sources[i].counters;

		if (c->passed < 10)
			continue;
		sources++;
		sent += c->packets;
		received += c->packets_to;
		one_way += c->packets_to == 0;
	}
	if (!sources) {
		finding_set(f, SELFTEST_SKIPPED, "no source has made 10 connections that were passed");
		return;
	}
	if (!one_way) {
		finding_set(f, SELFTEST_GOOD,
			"replies come back through here: %" PRIu64 " packets sent, %" PRIu64
			" received", sent, received);
		return;
	}
	/* Never a failure: whoever calls addresses where nobody is looks the same, and is not to keep an
	 * upgrade from being judged good. */
	finding_set(f, SELFTEST_NOTE,
		"of %" PRIu64 " sources whose connections are passed, %" PRIu64
		" never got a packet back through here: the way back is another",
		sources, one_way);
	finding_fix(f, "route the replies through the appliance as well (user-defined routes on both "
		       "sides), or translate the source address outside");
}
