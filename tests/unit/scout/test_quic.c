// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "scout/quic.h"

#define CORPUS "tests/fuzz/corpus/quic/"

static struct buf load(const char *name)
{
	struct buf bytes = BUF_EMPTY, path = BUF_EMPTY;
	struct why why = {""};

	buf_printf(&path, CORPUS "%s", name);
	buf_append(&path, "", 1);
	if (file_read(buf_slice(&path).data, 1 << 16, &bytes, &why))
		fail_msg("%s", why.text);
	buf_free(&path);
	return bytes;
}

static const struct row {
	const char *file;
	enum quic_result result;
	const char *name;
} rows[] = {
	/* The examples of the specifications: RFC 9001 and 9369, appendix A.2. */
	{"rfc9001-a2", QUIC_HELLO, "example.com"},
	{"rfc9369-a2", QUIC_HELLO, "example.com"},
	{"damaged", QUIC_SEALED, NULL},
	{"cut", QUIC_NOT_INITIAL, NULL},
	{"version", QUIC_VERSION, NULL},
	{"short-header", QUIC_NOT_INITIAL, NULL},
	{"second-part", QUIC_MORE, NULL},
	{"ack-close", QUIC_MORE, NULL},
	{"bad-frame", QUIC_MALFORMED, NULL},
};

static void datagrams_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf bytes = load(rows[i].file);
		struct quic quic = QUIC_EMPTY;
		struct clienthello hello;
		enum quic_result result = quic_read(&quic, buf_slice(&bytes), &hello);

		if (result != rows[i].result)
			fail_msg("%s: result %d", rows[i].file, result);
		if (rows[i].name)
			assert_string_equal(hello.sni, rows[i].name);
		segments_free(&quic.crypto);
		buf_free(&bytes);
	}
}

static void every_beginning_of_a_datagram_is_refused(void **state)
{
	struct buf bytes = load("rfc9001-a2");
	struct clienthello hello;

	(void)state;
	for (size_t n = 0; n < buf_len(&bytes); n++) {
		struct quic quic = QUIC_EMPTY;

		assert_int_equal(quic_read(&quic, slice_first(buf_slice(&bytes), n), &hello),
			QUIC_NOT_INITIAL);
	}
	buf_free(&bytes);
}

static void a_hello_may_come_twice(void **state)
{
	struct buf bytes = load("rfc9001-a2");
	struct quic quic = QUIC_EMPTY;
	struct clienthello hello;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(quic_read(&quic, buf_slice(&bytes), &hello), QUIC_HELLO);
	segments_free(&quic.crypto);
	buf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_are_read),
		cmocka_unit_test(every_beginning_of_a_datagram_is_refused),
		cmocka_unit_test(a_hello_may_come_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
