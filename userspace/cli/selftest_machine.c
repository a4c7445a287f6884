// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine around the appliance: settings of the kernel, interfaces, routes, time. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/selftest_check.h"

/* --- settings of the kernel --- */

/* A file below /proc/sys; %s stands for the inside interface. Both files of a pair count: the kernel
 * takes the larger one. */
struct setting {
	const char *file, *other;
	uint64_t least, most;
	bool must; /* without it the appliance is none */
	const char *why;
};

static const struct setting settings[] = {
	{"net/ipv4/ip_forward", NULL, 1, 1, true, "what is not steered is not forwarded"},
	{"net/ipv6/conf/all/forwarding", NULL, 1, 2, false,
		"IPv6 that is not steered is not forwarded"},
	{"net/ipv4/conf/all/send_redirects", "net/ipv4/conf/%s/send_redirects", 0, 0, false,
		"clients may be told to go past the appliance"},
	{"net/ipv4/conf/all/rp_filter", "net/ipv4/conf/%s/rp_filter", 0, 2, false,
		"packets of clients that are routed elsewhere are dropped"},
	{"net/core/somaxconn", NULL, 4096, UINT64_MAX, false,
		"bursts of new connections are refused"},
	{"net/ipv4/tcp_max_syn_backlog", NULL, 4096, UINT64_MAX, false,
		"bursts of new connections are refused"},
	{"kernel/unprivileged_bpf_disabled", NULL, 1, 2, false,
		"whoever has an account may load kernel programs"},
};

static bool proc_read(const char *file, const char *inside, uint64_t *value)
{
	char name[128], path[160], text[32] = "";
	FILE *in;
	bool got;

	snprintf(name, sizeof(name), "%s", file);
	if (strstr(file, "%s")) {
		size_t head = (size_t)(strstr(file, "%s") - file);

		snprintf(name, sizeof(name), "%.*s%s%s", (int)head, file, inside, file + head + 2);
	}
	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	in = fopen(path, "re");
	got = in && fgets(text, sizeof(text), in);
	if (in)
		fclose(in);
	*value = got ? strtoull(text, NULL, 10) : 0;
	return got;
}

/* rp_filter: 1 is strict; 0 and 2 are not. */
static bool setting_good(const struct setting *setting, uint64_t value)
{
	if (strstr(setting->file, "rp_filter"))
		return value != 1;
	return value >= setting->least && value <= setting->most;
}

/* What is in force; false: this kernel has no such setting. */
static bool setting_read(const struct setting *setting, const char *inside, uint64_t *value)
{
	uint64_t other;

	if (!proc_read(setting->file, inside, value))
		return false;
	if (setting->other && proc_read(setting->other, inside, &other) && other > *value)
		*value = other;
	return true;
}

static void setting_name(const struct setting *setting, char name[128])
{
	snprintf(name, 128, "%s", setting->file);
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '.';
}

size_t selftest_settings_differ(const char *inside,
	void (*told)(void *context, bool must, const char *problem), void *context)
{
	char name[128], text[400];
	size_t count = 0;
	uint64_t value;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!setting_read(&settings[i], inside, &value) || setting_good(&settings[i], value))
			continue;
		setting_name(&settings[i], name);
		if (settings[i].least == settings[i].most)
			snprintf(text, sizeof(text), "%s: expected %" PRIu64 ", found %" PRIu64 ": %s",
				name, settings[i].least, value, settings[i].why);
		else if (strstr(name, "rp_filter"))
			snprintf(text, sizeof(text), "%s: expected 0 or 2, found %" PRIu64 ": %s",
				name, value, settings[i].why);
		else
			snprintf(text, sizeof(text),
				"%s: expected at least %" PRIu64 ", found %" PRIu64 ": %s", name,
				settings[i].least, value, settings[i].why);
		told(context, settings[i].must, text);
		count += settings[i].must;
	}
	return count;
}

struct first {
	char text[256];
	size_t count;
};

static void first_told(void *context, bool must, const char *problem)
{
	struct first *first = context;

	(void)must;
	if (first->count++ == 0)
		snprintf(first->text, sizeof(first->text), "%s", problem);
}

void selftest_settings(const struct selftest *s, struct finding *f)
{
	struct first first = {.count = 0};

	selftest_settings_differ(s->kernel->inside, first_told, &first);
	if (!first.count) {
		finding_set(f, SELFTEST_GOOD, "the kernel's settings are those of the appliance");
		return;
	}
	finding_set(f, SELFTEST_NOTE, "%s%s", first.text,
		first.count > 1 ? "; and more (sallyport check)" : "");
	finding_fix(f, "sysctl --system; the file is sysctl.d/50-sallyport.conf");
}

void selftest_forwarding(const struct selftest *s, struct finding *f)
{
	uint64_t four = 0, six = 0;

	(void)s;
	proc_read("net/ipv4/ip_forward", "", &four);
	proc_read("net/ipv6/conf/all/forwarding", "", &six);
	if (four) {
		finding_set(f, SELFTEST_GOOD, "the kernel forwards %s",
			six ? "IPv4 and IPv6" : "IPv4, and no IPv6");
		return;
	}
	finding_set(f, SELFTEST_FAILED, "net.ipv4.ip_forward is 0: what is not steered is dropped");
	finding_fix(f, "sysctl --system; the file is sysctl.d/50-sallyport.conf");
}

/* --- interfaces --- */

/* An ioctl on an interface; false, and errno: it cannot be asked. */
static bool ask(const char *interface, unsigned long what, struct ifreq *request, void *data)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool asked;

	memset(request, 0, sizeof(*request));
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", interface);
	if (data)
		request->ifr_data = data;
	asked = fd >= 0 && ioctl(fd, what, request) == 0;
	if (fd >= 0)
		close(fd);
	return asked;
}

void selftest_interface(const struct selftest *s, struct finding *f)
{
	const char *inside = s->kernel->inside;
	struct ifreq request;

	if (!ask(inside, SIOCGIFFLAGS, &request, NULL)) {
		finding_set(f, SELFTEST_FAILED, "%s: %s", inside, strerror(errno));
		finding_fix(f, "name the interface that clients arrive on in datapath.inside");
	} else if (!(request.ifr_flags & IFF_UP) || !(request.ifr_flags & IFF_RUNNING)) {
		finding_set(f, SELFTEST_FAILED, "%s is %s", inside,
			request.ifr_flags & IFF_UP ? "up, without a carrier" : "down");
		finding_fix(f, "ip link set %s up; see that its network is there", inside);
	} else {
		finding_set(f, SELFTEST_GOOD, "%s is up and has a carrier", inside);
	}
}

/* The interface of the default route with the least metric, of IPv4. */
void selftest_find_outside(struct selftest *s)
{
	unsigned long best = ULONG_MAX, destination, gateway, flags, metric, mask;
	char line[256], name[16];
	FILE *in = fopen("/proc/net/route", "re");

	s->outside[0] = '\0';
	while (in && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%15s %lx %lx %lx %*s %*s %lu %lx", name, &destination, &gateway,
			    &flags, &metric, &mask) != 6 ||
			destination || mask || metric >= best)
			continue;
		best = metric;
		snprintf(s->outside, sizeof(s->outside), "%s", name);
	}
	if (in)
		fclose(in);
}

void selftest_route(const struct selftest *s, struct finding *f)
{
	if (!*s->outside) {
		finding_set(f, SELFTEST_NOTE, "there is no default route: only networks that are "
					      "routed one by one can be reached");
		finding_fix(f, "a default route by the outside interface, unless this is meant so");
		return;
	}
	finding_set(f, SELFTEST_GOOD, "the default route leaves by %s%s", s->outside,
		strcmp(s->outside, s->kernel->inside) == 0 ? ", which is the inside as well" : "");
}

void selftest_offloads(const struct selftest *s, struct finding *f)
{
	const char *inside = s->kernel->inside;
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request;

	if (!ask(inside, SIOCETHTOOL, &request, &flags)) {
		finding_set(f, SELFTEST_SKIPPED, "%s: its offloads cannot be asked for: %s", inside,
			strerror(errno));
	} else if (flags.data & ETH_FLAG_LRO) {
		finding_set(f, SELFTEST_FAILED,
			"LRO is on: packets are merged that cannot be forwarded again");
		finding_fix(f, "ethtool -K %s lro off", inside);
	} else {
		finding_set(f, SELFTEST_GOOD, "LRO is off on %s", inside);
	}
}

static unsigned mtu_of(const char *interface)
{
	struct ifreq request;

	return *interface && ask(interface, SIOCGIFMTU, &request, NULL) ? (unsigned)request.ifr_mtu
									 : 0;
}

void selftest_mtu(const struct selftest *s, struct finding *f)
{
	unsigned inside = mtu_of(s->kernel->inside), outside = mtu_of(s->outside);

	if (!inside) {
		finding_set(f, SELFTEST_SKIPPED, "%s: its MTU cannot be asked for", s->kernel->inside);
	} else if (inside < 1280) {
		finding_set(f, SELFTEST_FAILED, "the MTU of %s is %u: IPv6 needs 1280",
			s->kernel->inside, inside);
		finding_fix(f, "ip link set %s mtu 1500", s->kernel->inside);
	} else if (outside && outside < inside) {
		finding_set(f, SELFTEST_NOTE,
			"the MTU is %u inside and %u outside: large packets that are passed depend "
			"on ICMP",
			inside, outside);
		finding_fix(f, "the same MTU on both sides");
	} else {
		finding_set(f, SELFTEST_GOOD, "the MTU is %u inside", inside);
	}
}

void selftest_conntrack(const struct selftest *s, struct finding *f)
{
	uint64_t count, max;

	(void)s;
	if (!proc_read("net/netfilter/nf_conntrack_count", "", &count) ||
		!proc_read("net/netfilter/nf_conntrack_max", "", &max) || !max) {
		finding_set(f, SELFTEST_GOOD, "connections are not tracked");
		return;
	}
	if (count * 10 < max * 8) {
		finding_set(f, SELFTEST_GOOD, "%" PRIu64 " of %" PRIu64 " connections are tracked",
			count, max);
		return;
	}
	finding_set(f, count * 100 < max * 95 ? SELFTEST_NOTE : SELFTEST_FAILED,
		"%" PRIu64 " of %" PRIu64 " connections are tracked: new ones are dropped when that is full",
		count, max);
	finding_fix(f, "sysctl net.netfilter.nf_conntrack_max=%" PRIu64
		       ", or do not track what is only forwarded", 4 * max);
}

/* --- time and silence --- */

void selftest_time(const struct selftest *s, struct finding *f)
{
	struct timex time = {0};
	int state = adjtimex(&time);

	(void)s;
	if (state < 0) {
		finding_set(f, SELFTEST_SKIPPED, "the clock cannot be asked: %s", strerror(errno));
	} else if (state == TIME_ERROR || time.status & STA_UNSYNC) {
		finding_set(f, SELFTEST_NOTE, "the clock is not synchronized");
		finding_fix(f, "run chrony or systemd-timesyncd: certificates and events go by it");
	} else {
		finding_set(f, SELFTEST_GOOD, "the clock is synchronized, within %ld ms",
			time.esterror / 1000);
	}
}

/* A load balancer or a NAT gateway of Azure forgets a connection after 4 silent minutes. */
#define FORGETFUL_S 240

void selftest_keepalive(const struct selftest *s, struct finding *f)
{
	uint64_t idle;

	(void)s;
	if (!proc_read("net/ipv4/tcp_keepalive_time", "", &idle)) {
		finding_set(f, SELFTEST_SKIPPED, "net.ipv4.tcp_keepalive_time cannot be read");
	} else if (idle >= FORGETFUL_S) {
		finding_set(f, SELFTEST_NOTE,
			"a silent connection is probed after %" PRIu64
			" s only: load balancers and NAT gateways may have forgotten it after %d",
			idle, FORGETFUL_S);
		finding_fix(f, "sysctl --system (net.ipv4.tcp_keepalive_time = 90)");
	} else {
		finding_set(f, SELFTEST_GOOD, "a silent connection is probed after %" PRIu64 " s", idle);
	}
}
