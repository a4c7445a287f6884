// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/encrypted_dns.h"

static const char *const names[] = {
	"adguard-dns.com",
	"chrome.cloudflare-dns.com",
	"cleanbrowsing.org",
	"cloudflare-dns.com",
	"controld.com",
	"dns.alidns.com",
	"dns.google",
	"dns.google.com",
	"dns.opendns.com",
	"dns.quad9.net",
	"dns.sb",
	"dns.umbrella.com",
	"dns0.eu",
	"dns10.quad9.net",
	"dns11.quad9.net",
	"dns64.dns.google",
	"dns9.quad9.net",
	"doh.dns.sb",
	"doh.familyshield.opendns.com",
	"doh.opendns.com",
	"doh.pub",
	"mask.icloud.com",
	"mozilla.cloudflare-dns.com",
	"mullvad.net",
	"nextdns.io",
	"one.one.one.one",
};

static const char *const addresses[] = {
	"1.0.0.1", "1.0.0.2", "1.0.0.3", "1.1.1.1", "1.1.1.2", "1.1.1.3", /* Cloudflare */
	"2606:4700:4700::1001", "2606:4700:4700::1111",
	"8.8.4.4", "8.8.8.8", /* Google */
	"2001:4860:4860::8844", "2001:4860:4860::8888",
	"9.9.9.9", "9.9.9.10", "9.9.9.11", "149.112.112.112", /* Quad9 */
	"2620:fe::9", "2620:fe::fe",
	"94.140.14.14", "94.140.15.15", /* AdGuard */
	"208.67.220.220", "208.67.222.222", /* OpenDNS */
};

bool encrypted_dns_name(struct slice name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice known = slice_of_string(names[i]);

		if (name.len >= known.len &&
			slice_equal(slice_after(name, name.len - known.len), known) &&
			(name.len == known.len || name.data[name.len - known.len - 1] == '.'))
			return true;
	}
	return false;
}

bool encrypted_dns_address(const struct address *address)
{
	struct address_text text = address_format(address);

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (strcmp(addresses[i], text.text) == 0)
			return true;
	return false;
}
