// SPDX-License-Identifier: GPL-2.0-or-later
/* crc32c.c and uuid.c: against the vectors of their RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/crc32c.h"
#include "base/uuid.h"

static void the_vectors_of_rfc_3720_come_out(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], rising[32], falling[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		rising[i] = i;
		falling[i] = (uint8_t)(31 - i);
	}
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c(0, rising, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, falling, 32), 0x113fdb5c);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void the_instruction_and_the_table_agree(void **state)
{
	uint8_t data[300];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i + 7);
	for (size_t len = 0; len < 280; len++)
		for (size_t from = 0; from < 9; from++)
			assert_int_equal(crc32c((uint32_t)len, data + from, len),
				crc32c_table((uint32_t)len, data + from, len));
}

static void a_crc_goes_on_where_it_stopped(void **state)
{
	(void)state;
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void a_uuid_has_time_version_and_variant(void **state)
{
	static const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
	static const uint8_t zeros[8];

	(void)state;
	/* The time of the example of RFC 9562 appendix A.6: 0x017F22E279B0 ms. */
	assert_string_equal(uuid_v7(0x017F22E279B0 * 1000000ULL, ones).text,
		"017f22e2-79b0-7000-bfff-ffffffffffff");
	assert_string_equal(uuid_v7(0x017F22E279B0 * 1000000ULL + 999999, zeros).text,
		"017f22e2-79b0-7fff-8000-000000000000");
}

static void uuids_sort_as_their_times(void **state)
{
	static const uint8_t random[2][8] = {{255}, {0}};
	uint64_t now = 1790000000000000123;
	char last[37] = "";

	(void)state;
	for (int i = 0; i < 10000; i++, now += 250) {
		struct uuid_text uuid = uuid_v7(now, random[i & 1]);

		assert_true(strncmp(last, uuid.text, 18) <= 0);
		memcpy(last, uuid.text, sizeof(last));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_3720_come_out),
		cmocka_unit_test(the_instruction_and_the_table_agree),
		cmocka_unit_test(a_crc_goes_on_where_it_stopped),
		cmocka_unit_test(a_uuid_has_time_version_and_variant),
		cmocka_unit_test(uuids_sort_as_their_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
