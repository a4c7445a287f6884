// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/dns.h"

#include <string.h>

enum {
	HEADER = 12,
	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	OPCODE = 0x7800,
	CLASS_IN = 1,
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_AAAA = 28,
	TYPE_DNAME = 39,
	TYPE_SVCB = 64,
	TYPE_HTTPS = 65,
	PARAMETER_ALPN = 1,
	PARAMETER_IPV4HINT = 4,
	PARAMETER_ECH = 5,
	PARAMETER_IPV6HINT = 6,
	PARAMETER_PRIVATE = 65280, /* … 65534 are for private use */
	PARAMETER_PRIVATE_LAST = 65534,
	NAME_MAX_WIRE = 255,
	JUMPS_MAX = 32,
	GREASE_ALPN = 0x0a,
};

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct record {
	enum section section;
	unsigned type, class;
	uint32_t ttl;
	size_t data, end; /* offsets in the message */
};

/* Goes over the records of a message. */
struct walk {
	struct slice message;
	size_t at;
	unsigned left[SECTIONS];
	enum section section;
};

static unsigned get16(struct slice s, size_t at)
{
	return (unsigned)(uint8_t)s.data[at] << 8 | (uint8_t)s.data[at + 1];
}

static void put16(char *at, unsigned value)
{
	at[0] = (char)(value >> 8);
	at[1] = (char)value;
}

/* Moves *at behind a name, without following a pointer. */
static bool name_skip(struct slice message, size_t *at)
{
	for (size_t i = *at; i < message.len;) {
		unsigned len = (uint8_t)message.data[i];

		if (len >= 0xc0) {
			*at = i + 2;
			return *at <= message.len;
		}
		if (len > 63 || i - *at >= NAME_MAX_WIRE)
			return false;
		i += 1 + len;
		if (len == 0) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* Appends a label; one that a host name cannot have makes the whole name none. */
static bool label_append(char *text, size_t *len, const char *label, unsigned n)
{
	if (*len + n + 1 >= HOST_NAME_SIZE || memchr(label, '.', n) || memchr(label, '\0', n))
		return false;
	memcpy(text + *len, label, n);
	*len += n;
	text[(*len)++] = '.';
	return true;
}

/* Reads the host name at an offset. false: the message is malformed; name "": no host name. */
static bool name_read(struct slice message, size_t at, char name[HOST_NAME_SIZE])
{
	char text[HOST_NAME_SIZE];
	size_t len = 0, wire = 0;
	bool host = true;
	int jumps = 0;

	name[0] = '\0';
	while (at < message.len) {
		unsigned label = (uint8_t)message.data[at];

		if (label >= 0xc0) {
			size_t to;

			if (at + 2 > message.len || jumps++ == JUMPS_MAX)
				return false;
			to = get16(message, at) & 0x3fff;
			if (to >= at)
				return false;
			at = to;
			continue;
		}
		if (label == 0) {
			if (host && len)
				(void)host_name_read(slice_of(text, len - 1), name);
			return true;
		}
		wire += label + 1;
		if (label > 63 || wire >= NAME_MAX_WIRE || at + 1 + label > message.len)
			return false;
		if (len || message.data[at + 1] != '_')
			host = host && label_append(text, &len, message.data + at + 1, label);
		at += 1 + label;
	}
	return false;
}

static enum dns_result walk_start(struct walk *walk, struct slice message)
{
	unsigned flags;

	if (message.len < HEADER)
		return DNS_MALFORMED;
	flags = get16(message, 2);
	if (!(flags & FLAG_RESPONSE) || (flags & OPCODE) || get16(message, 4) != 1)
		return DNS_OTHER;
	*walk = (struct walk){
		.message = message,
		.at = HEADER,
		.left = {get16(message, 6), get16(message, 8), get16(message, 10)},
	};
	if (!name_skip(message, &walk->at) || message.len - walk->at < 4)
		return DNS_MALFORMED;
	walk->at += 4;
	return get16(message, walk->at - 2) == CLASS_IN ? DNS_OK : DNS_OTHER;
}

/* 1: a record; 0: the end; -1: malformed. */
static int walk_next(struct walk *walk, struct record *record)
{
	struct slice message = walk->message;

	while (walk->section < SECTIONS && walk->left[walk->section] == 0)
		walk->section++;
	if (walk->section == SECTIONS)
		return 0;
	walk->left[walk->section]--;
	if (!name_skip(message, &walk->at) || message.len - walk->at < 10)
		return -1;
	record->section = walk->section;
	record->type = get16(message, walk->at);
	record->class = get16(message, walk->at + 2);
	record->ttl = (uint32_t)get16(message, walk->at + 4) << 16 | get16(message, walk->at + 6);
	/* RFC 2181 section 8: the highest bit makes it 0. */
	if (record->ttl >> 31)
		record->ttl = 0;
	record->data = walk->at + 10;
	record->end = record->data + get16(message, walk->at + 8);
	if (record->end > message.len)
		return -1;
	walk->at = record->end;
	return 1;
}

enum dns_result dns_read(struct slice message, struct dns_reply *reply)
{
	struct walk walk;
	enum dns_result result = walk_start(&walk, message);

	*reply = (struct dns_reply){.type = 0};
	if (result != DNS_OK)
		return result;
	if (!name_read(slice_first(message, walk.at), HEADER, reply->name))
		return DNS_MALFORMED;
	reply->type = (uint16_t)get16(message, walk.at - 4);
	reply->records = walk.at;
	reply->truncated = get16(message, 2) & FLAG_TRUNCATED;
	return DNS_OK;
}

/* The parameters of an SVCB record in service mode: their offset, or 0 when there are none to be
 * read (alias mode, a broken target, lists that are out of order or do not end where they should).
 */
static size_t parameters_find(struct slice message, const struct record *record)
{
	struct slice data = slice_first(message, record->end);
	size_t at = record->data + 2, start;
	long before = -1;

	if (record->end - record->data < 3 || get16(message, record->data) == 0 ||
		!name_skip(data, &at))
		return 0;
	start = at;
	while (at < data.len) {
		if (data.len - at < 4 || (long)get16(data, at) <= before ||
			data.len - at - 4 < get16(data, at + 2))
			return 0;
		before = get16(data, at);
		at += 4 + get16(data, at + 2);
	}
	return start;
}

static bool is_service(const struct record *record)
{
	return record->type == TYPE_SVCB || record->type == TYPE_HTTPS;
}

/* Whether all that is said of the name is said of another one instead. */
static bool is_alias(struct slice message, const struct record *record)
{
	return record->type == TYPE_CNAME || record->type == TYPE_DNAME ||
	       (is_service(record) && record->end - record->data >= 3 &&
		       get16(message, record->data) == 0);
}

/* Who hears of the addresses of a message. */
struct visit {
	void (*each)(void *context, const struct address *address, uint32_t ttl_s);
	void *context;
	uint32_t ttl_most;
};

/* Tells the addresses of a list of them, size bytes each. */
static void visit_list(const struct visit *visit, struct slice list, size_t size, uint32_t ttl_s)
{
	uint32_t ttl = ttl_s < visit->ttl_most ? ttl_s : visit->ttl_most;

	if (list.len % size)
		return;
	for (; list.len; list = slice_after(list, size)) {
		struct address address = {{0}};

		if (size == 4)
			address.bytes[10] = address.bytes[11] = 0xff;
		memcpy(address.bytes + 16 - size, list.data, size);
		visit->each(visit->context, &address, ttl);
	}
}

static void visit_hints(
	const struct visit *visit, struct slice message, const struct record *record)
{
	size_t at = parameters_find(message, record);

	while (at && at < record->end) {
		unsigned key = get16(message, at), len = get16(message, at + 2);
		struct slice value = slice_of(message.data + at + 4, len);

		if (key == PARAMETER_IPV4HINT)
			visit_list(visit, value, 4, record->ttl);
		else if (key == PARAMETER_IPV6HINT)
			visit_list(visit, value, 16, record->ttl);
		at += 4 + len;
	}
}

static void visit_record(
	const struct visit *visit, struct slice message, const struct record *record)
{
	struct slice data = slice_of(message.data + record->data, record->end - record->data);

	if (record->class != CLASS_IN || record->section == SECTION_AUTHORITY)
		return;
	if (record->type == TYPE_A && data.len == 4)
		visit_list(visit, data, 4, record->ttl);
	else if (record->type == TYPE_AAAA && data.len == 16)
		visit_list(visit, data, 16, record->ttl);
	else if (is_service(record))
		visit_hints(visit, message, record);
}

enum dns_result dns_addresses(struct slice message,
	void (*each)(void *context, const struct address *address, uint32_t ttl_s), void *context)
{
	struct visit visit = {each, context, UINT32_MAX};
	enum dns_result result;
	struct record record;
	struct walk walk;
	int more;

	/* Aliases may stand behind what they lead to. */
	result = walk_start(&walk, message);
	while (result == DNS_OK && walk_next(&walk, &record) > 0)
		if (record.section == SECTION_ANSWER && record.class == CLASS_IN &&
			is_alias(message, &record) && record.ttl < visit.ttl_most)
			visit.ttl_most = record.ttl;
	if (result != DNS_OK || walk_start(&walk, message) != DNS_OK)
		return result;
	while ((more = walk_next(&walk, &record)) > 0)
		visit_record(&visit, message, &record);
	return more ? DNS_MALFORMED : DNS_OK;
}

/* "": none, or the owner itself. */
static void target_read(
	struct slice message, const struct record *record, char name[HOST_NAME_SIZE])
{
	size_t at = record->data + (is_service(record) ? 2 : 0);

	name[0] = '\0';
	if (record->type == TYPE_CNAME || (is_service(record) && record->end - record->data >= 3))
		(void)name_read(slice_first(message, record->end), at, name);
}

enum dns_result dns_aliases(struct slice message,
	void (*each)(void *context, const char *name, uint32_t ttl_s), void *context)
{
	char name[HOST_NAME_SIZE];
	enum dns_result result;
	struct record record;
	struct walk walk;
	int more;

	result = walk_start(&walk, message);
	if (result != DNS_OK)
		return result;
	while ((more = walk_next(&walk, &record)) > 0) {
		if (record.class != CLASS_IN || record.section == SECTION_AUTHORITY)
			continue;
		target_read(message, &record, name);
		if (name[0])
			each(context, name, record.ttl);
	}
	return more ? DNS_MALFORMED : DNS_OK;
}

static size_t disarm_alpn(char *value, size_t len)
{
	size_t found = 0;

	for (size_t at = 0; at < len;) {
		size_t n = (uint8_t)value[at++];

		if (n > len - at)
			return found;
		if (n >= 2 && memcmp(value + at, "h3", 2) == 0 &&
			(n == 2 || value[at + 2] == '-')) {
			memset(value + at, GREASE_ALPN, n);
			found++;
		}
		at += n;
	}
	return found;
}

/* The ech parameter at this offset goes; what follows moves up, padding comes last. */
static bool disarm_ech(char *message, size_t at, size_t end, unsigned last)
{
	struct slice whole = slice_of(message, end);
	size_t size = 4 + get16(whole, at + 2);
	unsigned key = last < PARAMETER_PRIVATE ? PARAMETER_PRIVATE : last + 1;

	if (key > PARAMETER_PRIVATE_LAST)
		return false;
	memmove(message + at, message + at + size, end - at - size);
	memset(message + end - size, 0, size);
	put16(message + end - size, key);
	put16(message + end - size + 2, (unsigned)size - 4);
	return true;
}

static size_t disarm_record(char *message, const struct record *record)
{
	struct slice whole = slice_of(message, record->end);
	size_t at = parameters_find(whole, record), ech = 0, found = 0;
	unsigned last = 0;

	if (!at)
		return 0;
	while (at < record->end) {
		last = get16(whole, at);
		if (last == PARAMETER_ALPN)
			found += disarm_alpn(message + at + 4, get16(whole, at + 2));
		else if (last == PARAMETER_ECH)
			ech = at;
		at += 4 + get16(whole, at + 2);
	}
	return found + (ech && disarm_ech(message, ech, record->end, last));
}

size_t dns_disarm(char *message, size_t len, size_t from, size_t *final)
{
	struct record record;
	struct walk walk;
	size_t found = 0, start;
	int more;

	*final = len;
	if (walk_start(&walk, slice_of(message, len)) != DNS_OK)
		return 0;
	while (start = walk.at, (more = walk_next(&walk, &record)) > 0)
		if (start >= from && record.class == CLASS_IN && is_service(&record))
			found += disarm_record(message, &record);
	if (more < 0)
		*final = start;
	return found;
}
