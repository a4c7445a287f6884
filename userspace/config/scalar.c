// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/scalar.h"

#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/decimal.h"
#include "base/clock.h"

#define NAME_MAX_LEN  253 /* of a DNS name: RFC 1035 section 2.3.4, as text */
#define LABEL_MAX_LEN 63
#define NOBODY	      65534 /* uid and gid of Debian's nobody and nogroup */

struct unit {
	const char *name;
	uint64_t factor;
};

/* From the largest on: "1h30m" has them in this order, each at most once. */
static const struct unit duration_units[] = {{"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	{"m", 60 * NS_PER_S}, {"s", NS_PER_S}, {"ms", NS_PER_MS}, {"us", 1000}, {NULL, 0}};
static const struct unit size_units[] = {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30},
	{"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}, {NULL, 0}};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Digits at *text, which moves behind them; base 10 or 16. */
static int scalar_digits(const char **text, unsigned base, uint64_t *number)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = *text;
	uint64_t n = 0;

	for (; *at; at++) {
		char c = *at >= 'A' && *at <= 'F' ? (char)(*at + 32) : *at;
		const char *digit = memchr(digits, c, base);

		if (!digit)
			break;
		if (__builtin_mul_overflow(n, base, &n) ||
			__builtin_add_overflow(n, (uint64_t)(digit - digits), &n))
			return -ERANGE;
	}
	if (at == *text)
		return -EINVAL;
	*text = at;
	*number = n;
	return 0;
}

static int scalar_number(const char *text, uint64_t *number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	int error;

	if (hex)
		text += 2;
	error = scalar_digits(&text, hex ? 16 : 10, number);
	return error < 0 ? error : *text ? -EINVAL : 0;
}

static int scalar_units(const char *text, const struct unit *units, uint64_t *total)
{
	uint64_t sum = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		uint64_t number;
		size_t len = 0;
		int error = scalar_digits(&text, 10, &number);

		if (error < 0)
			return error;
		while ((text[len] >= 'a' && text[len] <= 'z') || (text[len] >= 'A' && text[len] <= 'Z'))
			len++;
		while (units->name &&
			(strlen(units->name) != len || memcmp(units->name, text, len) != 0))
			units++;
		if (!units->name)
			return -EINVAL;
		if (__builtin_mul_overflow(number, units->factor, &number) ||
			__builtin_add_overflow(sum, number, &sum))
			return -ERANGE;
		units++;
		text += len;
	}
	*total = sum;
	return 0;
}

int scalar_duration(const char *text, uint64_t *ns)
{
	if (strcmp(text, "0") == 0) {
		*ns = 0;
		return 0;
	}
	return scalar_units(text, duration_units, ns);
}

int scalar_bytes(const char *text, uint64_t *bytes)
{
	int error = scalar_number(text, bytes);

	return error == -EINVAL ? scalar_units(text, size_units, bytes) : error;
}

static int scalar_amount(enum scalar_kind kind, const char *text, uint64_t *amount)
{
	if (kind == SCALAR_DURATION)
		return scalar_duration(text, amount);
	if (kind == SCALAR_SIZE)
		return scalar_bytes(text, amount);
	return scalar_number(text, amount);
}

/* The two ends of "from..to", as texts. */
static void range_split(const char *range, char from[24], char to[24])
{
	const char *dots = strstr(range, "..");

	snprintf(from, 24, "%.*s", dots ? (int)(dots - range) : 0, range);
	snprintf(to, 24, "%s", dots ? dots + 2 : "");
}

static int scalar_in_range(
	enum scalar_kind kind, const char *range, const char *text, uint64_t *amount)
{
	char from[24], to[24];
	uint64_t least, most;
	int error = scalar_amount(kind, text, amount);

	if (error < 0)
		return -EINVAL;
	range_split(range, from, to);
	if (scalar_amount(kind, from, &least) < 0 || scalar_amount(kind, to, &most) < 0)
		return -EINVAL;
	return *amount >= least && *amount <= most ? 0 : -EINVAL;
}

/* The place of text in "a|b|c", or -EINVAL. */
static int scalar_choice(const char *range, const char *text)
{
	size_t len = strlen(text);

	for (int at = 0; range; at++) {
		const char *bar = strchr(range, '|');
		size_t choice = bar ? (size_t)(bar - range) : strlen(range);

		if (len && choice == len && memcmp(range, text, len) == 0)
			return at;
		range = bar ? bar + 1 : NULL;
	}
	return -EINVAL;
}

static bool is_host(const char *text)
{
	size_t label = 0, len = strlen(text);
	bool digits_only = true;

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = text[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > LABEL_MAX_LEN || text[i - 1] == '-')
				return false;
			label = 0;
			/* A last label of digits would be an IPv4 address to some readers. */
			if (c == '.')
				digits_only = true;
			continue;
		}
		if (!is_alnum(c) && (c != '-' || label == 0))
			return false;
		if (!is_digit(c))
			digits_only = false;
		label++;
	}
	return !digits_only;
}

static bool is_all(const char *text, const char *besides, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && !strchr(besides, text[i]))
			return false;
	return true;
}

/* A user's or group's name, or number. */
static bool is_user(const char *text)
{
	return is_all(text, "._-", 63) && text[0] != '-' &&
		(!is_digit(text[0]) || strspn(text, "0123456789") == strlen(text));
}

static bool is_path(const char *text)
{
	return text[0] == '/' && strlen(text) < 4096;
}

/* A "*" stands at one end, if at all. */
static bool is_glob(const char *text)
{
	size_t len = strlen(text);
	const char *star = strchr(text, '*');

	if (len == 0 || len > 255 || strspn(text, "*") > 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return !star || star == text + len - 1 || (star == text && !strchr(text + 1, '*'));
}

/* https://host[:port][/path], without userinfo, query and fragment. */
static bool is_url(const char *text)
{
	char host[256];
	const char *at = text + strlen("https://");
	size_t len;
	uint64_t port;

	if (strncmp(text, "https://", strlen("https://")) != 0 || strlen(text) > 1024)
		return false;
	len = strcspn(at, ":/");
	if (len >= sizeof(host))
		return false;
	memcpy(host, at, len);
	host[len] = '\0';
	at += len;
	if (*at == ':') {
		char digits[6] = "";

		len = strcspn(++at, "/");
		if (!len || len >= sizeof(digits))
			return false;
		memcpy(digits, at, len);
		if (scalar_number(digits, &port) < 0 || !port || port > 65535)
			return false;
		at += len;
	}
	return is_host(host) && strspn(at, "/-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(at);
}

/* "a=b": either may stand in a path, in a query and in a JSON string as it is. */
static bool is_mapping(const char *text)
{
	const char *equals = strchr(text, '=');
	char from[129];

	if (!equals || equals - text >= (ptrdiff_t)sizeof(from))
		return false;
	memcpy(from, text, (size_t)(equals - text));
	from[equals - text] = '\0';
	return is_all(from, "._-:", 128) && is_all(equals + 1, "._-:", 128);
}

static int scalar_string(enum scalar_kind kind, const char *text, char **out)
{
	bool lower = kind == SCALAR_HOST || kind == SCALAR_PATTERN || kind == SCALAR_HEADER ||
		     kind == SCALAR_GLOB;
	size_t len = strlen(text);
	bool good = false;

	if (kind == SCALAR_TEXT)
		good = len > 0 && len <= 255;
	else if (kind == SCALAR_NAME)
		good = is_all(text, "._-", 128);
	else if (kind == SCALAR_LABEL)
		good = is_all(text, "._-@", 128);
	else if (kind == SCALAR_LONG)
		good = len > 0;
	else if (kind == SCALAR_GLOB)
		good = is_glob(text);
	else if (kind == SCALAR_PATH)
		good = is_path(text);
	else if (kind == SCALAR_INTERFACE)
		good = is_all(text, "._-@", IF_NAMESIZE - 1);
	else if (kind == SCALAR_HEADER)
		good = is_all(text, "!#$%&'*+-.^_`|~", 128);
	else if (kind == SCALAR_HOST)
		good = is_host(text);
	else if (kind == SCALAR_URL)
		good = is_url(text);
	else if (kind == SCALAR_MAPPING)
		good = is_mapping(text);
	else if (kind == SCALAR_PATTERN && strncmp(text, "*.", 2) == 0)
		/* One label would make "*.com". */
		good = is_host(text + 2) && strchr(text + 2, '.');
	else if (kind == SCALAR_PATTERN)
		good = is_host(text);
	if (!good)
		return -EINVAL;
	*out = strdup(text);
	if (!*out)
		return -ENOMEM;
	for (char *c = *out; lower && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return 0;
}

static int scalar_address(const char *range, const char *text, struct address_port *out)
{
	uint64_t port;
	int error = address_port_parse(text, out);

	if (error == 0 || !*range)
		return error;
	error = address_parse(text, &out->address);
	if (error == 0)
		error = scalar_number(range, &port);
	if (error == 0)
		out->port = (uint16_t)port;
	return error;
}

int scalar_identity(const char *text, uid_t *uid, gid_t *gid)
{
	const char *colon = strchr(text, ':');
	const struct passwd *user;
	const struct group *group;
	char name[64];
	uint64_t number;

	if (snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - text) : (int)strlen(text),
		    text) >= (int)sizeof(name))
		return -EINVAL;
	if (!is_user(name) || (colon && !is_user(colon + 1)))
		return -EINVAL;
	/* (uid_t)-1 means "leave it" to setresuid(): to run as root by a typing error. */
	if (scalar_number(name, &number) == 0) {
		if (number >= UINT32_MAX)
			return -EINVAL;
		*uid = (uid_t)number;
		*gid = (gid_t)number;
	} else {
		user = getpwnam(name);
		if (!user)
			return -ENOENT;
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	if (colon && scalar_number(colon + 1, &number) == 0) {
		if (number >= UINT32_MAX)
			return -EINVAL;
		*gid = (gid_t)number;
	} else if (colon) {
		group = getgrnam(colon + 1);
		if (!group)
			return -ENOENT;
		*gid = group->gr_gid;
	}
	/* A process without privileges that is root is none. */
	return *uid != 0 && *gid != 0 ? 0 : -EINVAL;
}

static int scalar_backend(
	const char *text, const struct config *config, struct config_backend **out)
{
	for (size_t i = 0; i < config->nbackends; i++)
		if (config->backends[i].name && strcmp(config->backends[i].name, text) == 0) {
			*out = &config->backends[i];
			return 0;
		}
	return -EINVAL;
}

static int scalar_pool(
	const char *text, const struct config *config, struct config_pool **out)
{
	for (size_t i = 0; i < config->npools; i++)
		if (config->pools[i].name && strcmp(config->pools[i].name, text) == 0) {
			*out = &config->pools[i];
			return 0;
		}
	return -EINVAL;
}

static int scalar_credential(
	const char *text, const struct config *config, struct config_credential **out)
{
	for (size_t i = 0; i < config->ncredentials; i++)
		if (config->credentials[i].name && strcmp(config->credentials[i].name, text) == 0) {
			*out = &config->credentials[i];
			return 0;
		}
	return -EINVAL;
}

static int scalar_identity_parse(const char *text, struct config_identity *out)
{
	struct config_identity identity = {0};
	int error = scalar_identity(text, &identity.uid, &identity.gid);

	if (error == -ENOENT)
		identity = (struct config_identity){NOBODY, NOBODY, NULL, true};
	else if (error < 0)
		return -EINVAL;
	identity.name = strdup(text);
	if (!identity.name)
		return -ENOMEM;
	*out = identity;
	return 0;
}

/* "08:30" at *text, which moves behind it: minutes since midnight. */
static int scalar_clock(const char **text, unsigned *minutes)
{
	uint64_t hour, minute;
	const char *start = *text;

	if (scalar_digits(text, 10, &hour) < 0 || *text - start != 2 || *(*text)++ != ':')
		return -EINVAL;
	start = *text;
	if (scalar_digits(text, 10, &minute) < 0 || *text - start != 2 || minute > 59 ||
		hour > 24 || (hour == 24 && minute))
		return -EINVAL;
	*minutes = (unsigned)(60 * hour + minute);
	return 0;
}

static int scalar_hours(const char *text, struct rule_hours *hours)
{
	unsigned from, to;

	if (scalar_clock(&text, &from) < 0 || *text++ != '-' || scalar_clock(&text, &to) < 0 ||
		*text || from == to || from == 24 * 60)
		return -EINVAL;
	*hours = (struct rule_hours){(uint16_t)from, (uint16_t)to};
	return 0;
}

static int scalar_weektime(const char *text, uint32_t *minute)
{
	char day[4];
	unsigned clock;
	int number;

	snprintf(day, sizeof(day), "%s", text);
	number = scalar_choice("mon|tue|wed|thu|fri|sat|sun", day);
	if (number < 0 || strlen(text) < 4 || text[3] != ' ')
		return -EINVAL;
	text += 4;
	if (scalar_clock(&text, &clock) < 0 || *text || clock == 24 * 60)
		return -EINVAL;
	*minute = (uint32_t)number * 24 * 60 + clock;
	return 0;
}

static int scalar_workers(const char *range, const char *text, uint32_t *out)
{
	uint64_t number;
	long online;

	if (strcmp(text, "auto") == 0) {
		online = sysconf(_SC_NPROCESSORS_ONLN);
		*out = online < 1 ? 1 : online > 256 ? 256 : (uint32_t)online;
		return 0;
	}
	if (scalar_in_range(SCALAR_WORKERS, range, text, &number) < 0)
		return -EINVAL;
	*out = (uint32_t)number;
	return 0;
}

int scalar_parse(enum scalar_kind kind, const char *range, const char *text,
	const struct config *config, void *out)
{
	uint64_t amount;
	int choice;

	switch (kind) {
	case SCALAR_CHOICE:
		choice = scalar_choice(range, text);
		if (choice < 0)
			return choice;
		*(int *)out = choice;
		return 0;
	case SCALAR_BOOL:
		choice = scalar_choice("false|true", text);
		if (choice < 0)
			return choice;
		*(bool *)out = choice == 1;
		return 0;
	case SCALAR_U16:
	case SCALAR_U32:
	case SCALAR_U64:
	case SCALAR_DURATION:
	case SCALAR_SIZE:
		if (scalar_in_range(kind, range, text, &amount) < 0)
			return -EINVAL;
		if (kind == SCALAR_U16)
			*(uint16_t *)out = (uint16_t)amount;
		else if (kind == SCALAR_U32)
			*(uint32_t *)out = (uint32_t)amount;
		else
			*(uint64_t *)out = amount;
		return 0;
	case SCALAR_DECIMAL:
	case SCALAR_PRICE:
		if (decimal_parse(text, &amount) < 0 || amount > DECIMAL_MOST)
			return -EINVAL;
		*(uint64_t *)out = amount + (kind == SCALAR_PRICE);
		return 0;
	case SCALAR_DATE:
		return date_parse(text, out);
	case SCALAR_HOURS:
		return scalar_hours(text, out);
	case SCALAR_WEEKTIME:
		return scalar_weektime(text, out);
	case SCALAR_WORKERS:
		return scalar_workers(range, text, out);
	case SCALAR_PREFIX:
		return prefix_parse(text, out);
	case SCALAR_ADDRESS_PORT:
		return scalar_address(range, text, out);
	case SCALAR_IDENTITY:
		return scalar_identity_parse(text, out);
	case SCALAR_BACKEND:
		return scalar_backend(text, config, out);
	case SCALAR_POOL:
		return scalar_pool(text, config, out);
	case SCALAR_CREDENTIAL:
		return scalar_credential(text, config, out);
	default:
		return scalar_string(kind, text, out);
	}
}

void scalar_free(enum scalar_kind kind, void *out)
{
	if (kind <= SCALAR_PATTERN)
		free(*(char **)out);
	else if (kind == SCALAR_IDENTITY)
		free(((struct config_identity *)out)->name);
}

size_t scalar_size(enum scalar_kind kind)
{
	static const size_t sizes[] = {
#define SCALAR_SIZE_OF(KIND, type) sizeof(type),
		SCALAR_KINDS(SCALAR_SIZE_OF)
	};

	return sizes[kind];
}

/* "a, b or c" of "a|b|c". */
static void expect_choice(const char *range, struct scalar_expected *e)
{
	size_t at = 0;

	for (const char *c = range; *c && at + 8 < sizeof(e->text); c++) {
		if (*c != '|') {
			e->text[at++] = *c;
			continue;
		}
		at += (size_t)sprintf(e->text + at, "%s", strchr(c + 1, '|') ? ", " : " or ");
	}
	e->text[at] = '\0';
}

/* "the name of a pool (a, b)": those that there are. */
static void expect_name(struct scalar_expected *e, const char *what,
	const char *(*name_of)(const struct config *config, size_t i), const struct config *config,
	size_t n)
{
	size_t at;

	if (!n) {
		snprintf(e->text, sizeof(e->text), "the name of a %s, and there is none", what);
		return;
	}
	at = (size_t)snprintf(e->text, sizeof(e->text), "the name of a %s (", what);
	for (size_t i = 0; i < n; i++) {
		const char *name = name_of(config, i);

		if (!name)
			continue;
		if (at + strlen(name) + 8 > sizeof(e->text)) {
			at += (size_t)sprintf(e->text + at, "...");
			break;
		}
		at += (size_t)sprintf(e->text + at, "%s%s", i ? ", " : "", name);
	}
	sprintf(e->text + at, ")");
}

static const char *backend_name(const struct config *config, size_t i)
{
	return config->backends[i].name;
}

static const char *pool_name(const struct config *config, size_t i)
{
	return config->pools[i].name;
}

static const char *credential_name(const struct config *config, size_t i)
{
	return config->credentials[i].name;
}

struct scalar_expected scalar_expect(
	enum scalar_kind kind, const char *range, const struct config *config)
{
	static const char *const plain[SCALAR_COUNT] = {
		[SCALAR_TEXT] = "text of 1 to 255 bytes",
		[SCALAR_NAME] = "a name of letters, digits, '.', '_' and '-'",
		[SCALAR_PATH] = "an absolute path",
		[SCALAR_LABEL] = "a name of letters, digits, '.', '_', '-' and '@'",
		[SCALAR_LONG] = "text",
		[SCALAR_GLOB] = "a name, or the beginning or end of names such as \"gpt-4o*\" or "
				"\"*-mini\"",
		[SCALAR_DECIMAL] = "an amount such as \"12.50\", up to 1000000",
		[SCALAR_PRICE] = "a price such as \"0.075\", up to 1000000",
		[SCALAR_DATE] = "a date such as \"2026-01-31\"",
		[SCALAR_HOURS] = "hours such as \"08:00-18:00\"",
		[SCALAR_WEEKTIME] = "a time such as \"mon 12:00\"",
		[SCALAR_INTERFACE] = "the name of a network interface",
		[SCALAR_HEADER] = "the name of an HTTP header",
		[SCALAR_HOST] = "a host name such as \"api.openai.com\"",
		[SCALAR_URL] = "an address such as \"https://contoso.vault.azure.net/secrets/key\"",
		[SCALAR_PATTERN] = "a host name, or a pattern such as \"*.openai.azure.com\"",
		[SCALAR_MAPPING] = "\"name=other\" of letters, digits, '.', '_', '-' and ':'",
		[SCALAR_BOOL] = "true or false",
		[SCALAR_PREFIX] = "a prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\", no bit "
				  "set beyond its length",
		[SCALAR_IDENTITY] =
			"a user, \"user:group\" or numbers, and not root",
	};
	char from[24], to[24];
	struct scalar_expected e;

	range_split(range, from, to);
	if (plain[kind])
		snprintf(e.text, sizeof(e.text), "%s", plain[kind]);
	else if (kind == SCALAR_CHOICE)
		expect_choice(range, &e);
	else if (kind == SCALAR_BACKEND)
		expect_name(&e, "backend", backend_name, config, config ? config->nbackends : 0);
	else if (kind == SCALAR_POOL)
		expect_name(&e, "pool", pool_name, config, config ? config->npools : 0);
	else if (kind == SCALAR_CREDENTIAL)
		expect_name(&e, "credential", credential_name, config,
			config ? config->ncredentials : 0);
	else if (kind == SCALAR_DURATION)
		snprintf(e.text, sizeof(e.text), "a duration from %s to %s, such as \"30s\"", from, to);
	else if (kind == SCALAR_SIZE)
		snprintf(e.text, sizeof(e.text), "a size from %s to %s, such as \"64KiB\"", from, to);
	else if (kind == SCALAR_ADDRESS_PORT)
		snprintf(e.text, sizeof(e.text), "%s such as \"192.0.2.1:443\" or \"[2001:db8::1]:443\"",
			*range ? "an address, or an address and port" : "an address and port");
	else
		snprintf(e.text, sizeof(e.text), "%sa number from %s to %s",
			kind == SCALAR_WORKERS ? "auto, or " : "", from, to);
	return e;
}
