// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "scout/dns.h"

/* Header of a reply with so many records, and the question api.openai.com IN. */
#define HEAD(flags, answers, others)	    "\x12\x34" flags "\x00\x01\x00" answers "\x00\x00\x00" others
#define NAME				    "\3api\6openai\3com\0"
#define ASKED(type)			    NAME "\0" type "\0\1"
#define TO_QUESTION			    "\xc0\x0c"
#define RECORD(owner, type, ttl, len, data) owner "\0" type "\0\1\0\0\0" ttl "\0" len data
#define A				    "\x01"
#define CNAME				    "\x05"
#define AAAA				    "\x1c"
#define HTTPS				    "\x41"
#define OPT				    "\x29"

static const struct row {
	const char *title, *bytes;
	size_t len;
	enum dns_result read, addresses;
	const char *name;
	const char *told; /* "address/ttl " of each */
} rows[] = {
#define ROW(title, read, addresses, name, told, text)                                              \
	{                                                                                          \
		title, text, sizeof(text) - 1, DNS_##read, DNS_##addresses, name, told             \
	}
	ROW("one address", OK, OK, "api.openai.com", "192.0.2.1/60 ",
		HEAD("\x81\x80", "\1", "\0") ASKED(A)
			RECORD(TO_QUESTION, A, "\x3c", "\4", "\xc0\0\2\1")),
	ROW("upper case", OK, OK, "api.openai.com", "",
		HEAD("\x81\x80", "\0", "\0") "\3API\6OpenAI\3com\0\0\1\0\1"),
	ROW("an alias with a shorter life, behind its address", OK, OK, "api.openai.com",
		"192.0.2.1/5 2001:db8::1/5 ",
		HEAD("\x81\x80", "\3", "\0") ASKED(A)
			RECORD("\1x\xc0\x17", A, "\x3c", "\4", "\xc0\0\2\1") RECORD("\1x\xc0\x17",
				AAAA, "\x3c", "\x10", "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")
				RECORD(TO_QUESTION, CNAME, "\5", "\4", "\1x\xc0\x17")),
	ROW("an alias of the service, with a shorter life", OK, OK, "api.openai.com",
		"192.0.2.1/5 ",
		HEAD("\x81\x80", "\2", "\0") ASKED(HTTPS) RECORD(TO_QUESTION, HTTPS, "\5", "\6",
			"\0\0\1x\xc0\x10") RECORD("\1x\xc0\x10", A, "\x3c", "\4", "\xc0\0\2\1")),
	ROW("EDNS behind it", OK, OK, "api.openai.com", "192.0.2.1/60 ",
		HEAD("\x81\x80", "\1", "\1") ASKED(A) RECORD(TO_QUESTION, A, "\x3c", "\4",
			"\xc0\0\2\1") "\0\0" OPT "\x10\0\0\0\0\0\0\0"),
	ROW("cut off in the second record", OK, MALFORMED, "api.openai.com", "192.0.2.1/60 ",
		HEAD("\x83\x80", "\2", "\0") ASKED(A) RECORD(
			TO_QUESTION, A, "\x3c", "\4", "\xc0\0\2\1") TO_QUESTION "\0\1\0\1\0"),
	ROW("an address of another length", OK, OK, "api.openai.com", "",
		HEAD("\x81\x80", "\1", "\0") ASKED(A)
			RECORD(TO_QUESTION, A, "\x3c", "\5", "\xc0\0\2\1\0")),
	ROW("hints", OK, OK, "api.openai.com", "192.0.2.1/60 192.0.2.2/60 2001:db8::1/60 ",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS) RECORD(TO_QUESTION, HTTPS, "\x3c", "\x23",
			"\0\1\0\0\4\0\x08\xc0\0\2\1\xc0\0\2\2\0\6\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0"
			"\0\0"
			"\0\0\0\1")),
	ROW("parameters out of order", OK, OK, "api.openai.com", "",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS) RECORD(
			TO_QUESTION, HTTPS, "\x3c", "\x10", "\0\1\0\0\6\0\0\0\4\0\4\xc0\0\2\1\0")),
	ROW("another port's service", OK, OK, "api.openai.com", "",
		HEAD("\x81\x80", "\0", "\0") "\5_8443\6_https" NAME "\0" HTTPS "\0\1"),
	ROW("a label with a dot", OK, OK, "", "",
		HEAD("\x81\x80", "\0", "\0") "\3a.b\3com\0\0\1\0\1"),
	ROW("the root", OK, OK, "", "", HEAD("\x81\x80", "\0", "\0") "\0\0\1\0\1"),
	ROW("a name that points at itself", MALFORMED, OK, "", "",
		HEAD("\x81\x80", "\0", "\0") "\xc0\x0c\0\1\0\1"),
	ROW("a name that points ahead", MALFORMED, OK, "", "",
		HEAD("\x81\x80", "\0", "\0") "\xc0\x10\0\1\0\1"),
	ROW("a label too long", MALFORMED, MALFORMED, "", "",
		HEAD("\x81\x80", "\0", "\0") "\x40"
					     "aa\0\0\1\0\1"),
	ROW("a question", OTHER, OTHER, "", "", HEAD("\x01\x00", "\0", "\0") ASKED(A)),
	ROW("of another class", OTHER, OTHER, "", "", HEAD("\x81\x80", "\0", "\0") NAME "\0\1\0\3"),
	ROW("an update", OTHER, OTHER, "", "", HEAD("\xa8\x00", "\0", "\0") ASKED(A)),
	ROW("no question", OTHER, OTHER, "", "", "\x12\x34\x81\x80\0\0\0\0\0\0\0\0"),
	ROW("half a header", MALFORMED, MALFORMED, "", "", "\x12\x34\x81\x80\0\1"),
	ROW("half a question", MALFORMED, MALFORMED, "", "", HEAD("\x81\x80", "\0", "\0") "\3api"),
};

static void told(void *context, const struct address *address, uint32_t ttl_s)
{
	buf_printf(context, "%s/%u ", address_format(address).text, ttl_s);
}

static void replies_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice message = slice_of(rows[i].bytes, rows[i].len);
		struct buf addresses = BUF_EMPTY;
		struct dns_reply reply;

		if (dns_read(message, &reply) != rows[i].read)
			fail_msg("%s: not read as it should", rows[i].title);
		if (rows[i].read == DNS_OK && strcmp(reply.name, rows[i].name) != 0)
			fail_msg("%s: name '%s'", rows[i].title, reply.name);
		if (dns_addresses(message, told, &addresses) != rows[i].addresses)
			fail_msg("%s: records not read as they should", rows[i].title);
		buf_append(&addresses, "", 1);
		if (strcmp(buf_slice(&addresses).data, rows[i].told) != 0)
			fail_msg("%s: told %s", rows[i].title, buf_slice(&addresses).data);
		buf_free(&addresses);
	}
}

static const struct led_on {
	const char *title, *bytes;
	size_t len;
	const char *told; /* "name/ttl " of each */
} aliases[] = {
#undef ROW
#define ROW(title, told, text)                                                                     \
	{                                                                                          \
		title, text, sizeof(text) - 1, told                                                \
	}
	ROW("a chain", "b.openai.com/5 c.openai.com/60 ",
		HEAD("\x81\x80", "\2", "\0") ASKED(A) RECORD(TO_QUESTION, CNAME, "\5", "\4",
			"\1b\xc0\x10") RECORD("\1b\xc0\x10", CNAME, "\x3c", "\4", "\1C\xc0\x10")),
	ROW("alias mode", "b.openai.com/60 ",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS)
			RECORD(TO_QUESTION, HTTPS, "\x3c", "\6", "\0\0\1b\xc0\x10")),
	ROW("a service elsewhere", "b.openai.com/60 ",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS)
			RECORD(TO_QUESTION, HTTPS, "\x3c", "\x0d", "\0\1\1b\xc0\x10\0\1\0\3\2h2")),
	ROW("the owner itself", "",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS)
			RECORD(TO_QUESTION, HTTPS, "\x3c", "\3", "\0\1\0")),
	ROW("a target that does not end", "",
		HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS)
			RECORD(TO_QUESTION, HTTPS, "\x3c", "\4", "\0\0\1b")),
	ROW("an address", "",
		HEAD("\x81\x80", "\1", "\0") ASKED(A)
			RECORD(TO_QUESTION, A, "\x3c", "\4", "\xc0\0\2\1")),
};

static void alias_told(void *context, const char *name, uint32_t ttl_s)
{
	buf_printf(context, "%s/%u ", name, ttl_s);
}

static void what_a_reply_leads_on_to_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		struct slice message = slice_of(aliases[i].bytes, aliases[i].len);
		struct buf names = BUF_EMPTY;

		if (dns_aliases(message, alias_told, &names) != DNS_OK)
			fail_msg("%s: not read", aliases[i].title);
		buf_append(&names, "", 1);
		if (strcmp(buf_slice(&names).data, aliases[i].told) != 0)
			fail_msg("%s: told %s", aliases[i].title, buf_slice(&names).data);
		buf_free(&names);
	}
}

static void a_question_is_read_before_the_message_is_whole(void **state)
{
	static const char message[] = HEAD("\x81\x80", "\1", "\0") ASKED(HTTPS);
	struct dns_reply reply;

	(void)state;
	for (size_t len = 0; len < sizeof(message) - 1; len++)
		assert_int_equal(dns_read(slice_of(message, len), &reply), DNS_MALFORMED);
	assert_int_equal(dns_read(slice_of(message, sizeof(message) - 1), &reply), DNS_OK);
	assert_string_equal(reply.name, "api.openai.com");
	assert_int_equal(reply.records, sizeof(message) - 1);
}

static void all_of_many_addresses_are_told(void **state)
{
	static const char head[] = HEAD("\x81\x80", "\xc8", "\0") ASKED(A);
	struct buf message = BUF_EMPTY, addresses = BUF_EMPTY;
	size_t n = 0;

	(void)state;
	buf_append(&message, head, sizeof(head) - 1);
	for (int i = 0; i < 200; i++)
		buf_append(&message, RECORD(TO_QUESTION, A, "\x3c", "\4", "\xc0\0\2\1"), 16);
	assert_int_equal(dns_addresses(buf_slice(&message), told, &addresses), DNS_OK);
	for (size_t i = 0; i < buf_len(&addresses); i++)
		n += buf_slice(&addresses).data[i] == ' ';
	assert_int_equal(n, 200);
	buf_free(&message);
	buf_free(&addresses);
}

#define LITERAL(text)                                                                              \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static const struct disarmed {
	const char *title;
	size_t found;
	struct slice before, after; /* data of the HTTPS record */
} disarmed[] = {
	{"nothing to do", 0, LITERAL("\0\1\0\0\1\0\3\2h2"), LITERAL("\0\1\0\0\1\0\3\2h2")},
	{"h3", 1, LITERAL("\0\1\0\0\1\0\6\2h3\2h2"), LITERAL("\0\1\0\0\1\0\6\2\n\n\2h2")},
	{"a draft of it", 1, LITERAL("\0\1\0\0\1\0\6\5h3-29"),
		LITERAL("\0\1\0\0\1\0\6\5\n\n\n\n\n")},
	{"what only begins so", 0, LITERAL("\0\1\0\0\1\0\4\3h3x"), LITERAL("\0\1\0\0\1\0\4\3h3x")},
	{"ech at the end", 1, LITERAL("\0\1\0\0\5\0\3abc"), LITERAL("\0\1\0\xff\0\0\3\0\0\0")},
	{"ech in between", 2, LITERAL("\0\1\0\0\1\0\3\2h3\0\5\0\2ab\0\7\0\1/"),
		LITERAL("\0\1\0\0\1\0\3\2\n\n\0\7\0\1/\xff\0\0\2\0\0")},
	{"private ones behind", 1, LITERAL("\0\1\0\0\5\0\1a\xff\1\0\0"),
		LITERAL("\0\1\0\xff\1\0\0\xff\2\0\1\0")},
	{"no number left", 0, LITERAL("\0\1\0\0\5\0\1a\xff\xfe\0\0"),
		LITERAL("\0\1\0\0\5\0\1a\xff\xfe\0\0")},
	{"an alias", 0, LITERAL("\0\0\0\0\5\0\1a"), LITERAL("\0\0\0\0\5\0\1a")},
	{"longer than its record", 0, LITERAL("\0\1\0\0\5\0\2a"), LITERAL("\0\1\0\0\5\0\2a")},
};

static void records_are_disarmed_in_place(void **state)
{
	static const char head[] = HEAD("\x81\x80", "\2", "\0") ASKED(HTTPS);
	static const char last[] = RECORD(TO_QUESTION, A, "\x3c", "\4", "\xc0\0\2\1");

	(void)state;
	for (size_t i = 0; i < sizeof(disarmed) / sizeof(disarmed[0]); i++) {
		struct slice before = disarmed[i].before, after = disarmed[i].after;
		char message[256];
		size_t at = sizeof(head) - 1, len, final;

		memcpy(message, head, at);
		memcpy(message + at, RECORD(TO_QUESTION, HTTPS, "\x3c", "\0", ""), 12);
		message[at + 11] = (char)before.len;
		memcpy(message + at + 12, before.data, before.len);
		len = at + 12 + before.len;
		memcpy(message + len, last, sizeof(last) - 1);
		len += sizeof(last) - 1;
		/* Before it is whole nothing is done to a record, nor to one that has passed. */
		assert_int_equal(dns_disarm(message, at + 12 + before.len - 1, 0, &final), 0);
		assert_int_equal(final, at);
		assert_int_equal(dns_disarm(message, len, at + 1, &final), 0);
		if (dns_disarm(message, len, at, &final) != disarmed[i].found)
			fail_msg("%s: not as many as there are", disarmed[i].title);
		assert_int_equal(final, len);
		if (memcmp(message + at + 12, after.data, after.len) != 0)
			fail_msg("%s: wrong", disarmed[i].title);
		assert_memory_equal(message, head, at);
		assert_memory_equal(message + len - sizeof(last) + 1, last, sizeof(last) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(what_a_reply_leads_on_to_is_told),
		cmocka_unit_test(a_question_is_read_before_the_message_is_whole),
		cmocka_unit_test(all_of_many_addresses_are_told),
		cmocka_unit_test(records_are_disarmed_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
