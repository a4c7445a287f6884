// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest_check.h"

#include <stdarg.h>
#include <stdio.h>

const struct selftest_check selftest_checks[] = {
	{"daemon", "does the daemon run, by the configuration on disk", selftest_daemon},
	{"interface", "is the inside interface up", selftest_interface},
	{"programs", "are the kernel programs attached", selftest_programs},
	{"xdp", "in which mode are sources admitted", selftest_xdp},
	{"offloads", "is LRO off", selftest_offloads},
	{"routing", "are steered packets delivered", selftest_routing},
	{"workers", "are the workers alive", selftest_workers},
	{"endpoints", "is there anything to steer", selftest_endpoints},
	{"call", "does a call by the kernel's whole way reach the appliance", selftest_call},
	{"call-ipv6", "does a call over IPv6 do so as well", selftest_call_ipv6},
	{"ca", "do strict clients take the authority", selftest_ca},
	{"dns", "do the configured names have addresses", selftest_dns},
	{"private-endpoint", "does a private endpoint lead past the appliance", selftest_private},
	{"forwarding", "is everything else forwarded", selftest_forwarding},
	{"route", "is there a way out", selftest_route},
	{"replies", "do replies come back through the appliance", selftest_replies},
	{"settings", "are the kernel's settings those of the appliance", selftest_settings},
	{"mtu", "do the interfaces agree on the MTU", selftest_mtu},
	{"conntrack", "is there room for connections that are tracked", selftest_conntrack},
	{"keepalive", "are silent connections kept known on their way", selftest_keepalive},
	{"time", "is the clock synchronized", selftest_time},
	{"collector", "is the collector connected", selftest_collector},
	{"record", "can events be spooled", selftest_record},
};
const size_t nselftest_checks = sizeof(selftest_checks) / sizeof(selftest_checks[0]);

void finding_set(struct finding *f, enum selftest_result result, const char *seen, ...)
{
	va_list arguments;

	f->result = result;
	f->fix[0] = '\0';
	va_start(arguments, seen);
	vsnprintf(f->seen, sizeof(f->seen), seen, arguments);
	va_end(arguments);
}

void finding_fix(struct finding *f, const char *fix, ...)
{
	va_list arguments;

	va_start(arguments, fix);
	vsnprintf(f->fix, sizeof(f->fix), fix, arguments);
	va_end(arguments);
}

const char *selftest_result_name(enum selftest_result result)
{
	static const char *const names[] = {"good", "skipped", "note", "failed"};

	return names[result];
}
