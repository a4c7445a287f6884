// SPDX-License-Identifier: GPL-2.0-or-later
/* Content codings: what the usual encoders write is read again, however it is cut; what is broken,
 * too much, or goes on after its end is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "http/coding.h"
#include "tests/support/cut.h"

#define RANDOM_CUTS 20

static int append(void *context, struct slice piece)
{
	return buf_append_slice(context, piece);
}

/* window_bits as of deflateInit2: 31 gzip, 15 zlib, -15 raw. */
static struct buf deflated(struct slice text, int window_bits)
{
	struct buf b = BUF_EMPTY;
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (z_const Bytef *)text.data;
	z.avail_in = (uInt)text.len;
	z.avail_out = (uInt)deflateBound(&z, text.len);
	z.next_out = (Bytef *)buf_reserve(&b, z.avail_out);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(&b, z.total_out);
	deflateEnd(&z);
	return b;
}

static struct buf brotli(struct slice text)
{
	size_t size = BrotliEncoderMaxCompressedSize(text.len) + 100;
	struct buf b = BUF_EMPTY;
	uint8_t *to = (uint8_t *)buf_reserve(&b, size);

	assert_true(BrotliEncoderCompress(
		5, 22, BROTLI_MODE_TEXT, text.len, (const uint8_t *)text.data, &size, to));
	buf_commit(&b, size);
	return b;
}

static struct buf zstd(struct slice text)
{
	struct buf b = BUF_EMPTY;
	size_t size = ZSTD_compressBound(text.len);
	char *to = buf_reserve(&b, size);

	size = ZSTD_compress(to, size, text.data, text.len, 3);
	assert_false(ZSTD_isError(size));
	buf_commit(&b, size);
	return b;
}

static struct buf encode(const char *how, struct slice text)
{
	if (strcmp(how, "gzip") == 0)
		return deflated(text, 31);
	if (strcmp(how, "zlib") == 0)
		return deflated(text, 15);
	if (strcmp(how, "raw") == 0)
		return deflated(text, -15);
	return strcmp(how, "br") == 0 ? brotli(text) : zstd(text);
}

static struct buf sample(size_t len)
{
	struct buf b = BUF_EMPTY;

	for (unsigned i = 0; buf_len(&b) < len; i++)
		assert_int_equal(
			buf_printf(&b, "data: {\"delta\":\"%u\"}\n\n", i * 2654435761u), 0);
	return b;
}

/* What coding_decode and coding_finish say in the end; the output is appended to out. */
static int decode(
	const char *coding, struct slice in, size_t out_max, uint64_t seed, struct buf *out)
{
	int error, result = 0;
	struct coding *c = coding_new(slice_of_string(coding), out_max, &error);
	struct slice piece;
	struct cut cut;

	assert_non_null(c);
	assert_int_equal(error, 0);
	cut_start(&cut, in, seed);
	while (cut_next(&cut, &piece))
		if (!result)
			result = coding_decode(c, piece, append, out);
	if (result)
		assert_int_equal(coding_decode(c, SLICE("x"), append, out), result);
	result = coding_finish(c);
	coding_free(c);
	return result;
}

/* clang-format off */
static const struct {
	const char *coding, *encoders[2];
} codings[] = {
	{"gzip", {"gzip"}}, {"X-GZip", {"gzip"}}, {"deflate", {"zlib"}}, {"deflate", {"raw"}},
	{"br", {"br"}}, {"zstd", {"zstd"}}, {"gzip, br", {"gzip", "br"}},
	{" deflate ,, zstd", {"raw", "zstd"}}, {"identity, br", {"br"}}, {"gzip, identity", {"gzip"}},
};
/* clang-format on */

static struct buf encode_all(size_t i, struct slice text)
{
	struct buf once = encode(codings[i].encoders[0], text), twice;

	if (!codings[i].encoders[1])
		return once;
	twice = encode(codings[i].encoders[1], buf_slice(&once));
	buf_free(&once);
	return twice;
}

static void test_decoded(void **state)
{
	static const size_t lengths[] = {1, 100, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
		for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
			struct buf text = sample(lengths[j]), in = encode_all(i, buf_slice(&text));

			for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
				struct buf out = BUF_EMPTY;

				assert_int_equal(
					decode(codings[i].coding, buf_slice(&in), 0, seed, &out),
					0);
				assert_true(slice_equal(buf_slice(&out), buf_slice(&text)));
				buf_free(&out);
			}
			buf_free(&text);
			buf_free(&in);
		}
}

/* Given all but the last byte, and given one byte more. (A second gzip member or zstd frame may
 * begin after the first; this byte begins none.) */
static void test_cut_and_continued(void **state)
{
	struct buf text = sample(1000);

	(void)state;
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
		struct buf in = encode_all(i, buf_slice(&text));

		for (uint64_t seed = 0; seed < 3; seed++) {
			struct slice cut = slice_first(buf_slice(&in), buf_len(&in) - 1);
			struct buf out = BUF_EMPTY;

			assert_int_equal(decode(codings[i].coding, cut, 0, seed, &out), -ENODATA);
			buf_free(&out);
		}
		buf_append(&in, "xyz..xyz..", 10);
		for (uint64_t seed = 0; seed < 3; seed++) {
			struct buf out = BUF_EMPTY;

			assert_int_equal(
				decode(codings[i].coding, buf_slice(&in), 0, seed, &out), -EPROTO);
			buf_free(&out);
		}
		buf_free(&in);
	}
	buf_free(&text);
}

static void test_garbage(void **state)
{
	static const char *const names[] = {"gzip", "deflate", "br", "zstd", "br, gzip"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf out = BUF_EMPTY;

		assert_int_equal(
			decode(names[i], SLICE("{\"not\":\"encoded at all\"}"), 0, 2, &out),
			-EPROTO);
		buf_free(&out);
	}
}

static void test_members(void **state)
{
	struct buf one = deflated(SLICE("one "), 31), two = deflated(SLICE("two"), 31);
	struct buf out = BUF_EMPTY;

	(void)state;
	buf_append_slice(&one, buf_slice(&two));
	for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
		buf_clear(&out);
		assert_int_equal(decode("gzip", buf_slice(&one), 0, seed, &out), 0);
		assert_true(slice_equal(buf_slice(&out), SLICE("one two")));
	}
	buf_free(&one);
	buf_free(&two);
	buf_free(&out);
}

/* Frames that are skipped, and formats from before RFC 8878, which the library knows as well. */
static void test_zstd_magic(void **state)
{
	struct buf frame = zstd(SLICE("text")), in = BUF_EMPTY, out = BUF_EMPTY;

	(void)state;
	buf_append(&in, "\x5a\x2a\x4d\x18\x03\0\0\0abc", 11);
	buf_append_slice(&in, buf_slice(&frame));
	for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
		buf_clear(&out);
		assert_int_equal(decode("zstd", buf_slice(&in), 0, seed, &out), 0);
		assert_true(slice_equal(buf_slice(&out), SLICE("text")));
		assert_int_equal(
			decode("zstd", SLICE("\x26\xb5\x2f\xfd\x01\xfd\xf3\x40"), 0, seed, &out),
			-EPROTO);
	}
	buf_free(&frame);
	buf_free(&in);
	buf_free(&out);
}

static void test_bounds(void **state)
{
	struct buf text = sample(10000), in, out = BUF_EMPTY;
	size_t len = buf_len(&text);

	(void)state;
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
		in = encode_all(i, buf_slice(&text));
		buf_clear(&out);
		assert_int_equal(decode(codings[i].coding, buf_slice(&in), len, 2, &out), 0);
		buf_clear(&out);
		assert_int_equal(
			decode(codings[i].coding, buf_slice(&in), len - 1, 2, &out), -EFBIG);
		assert_true(buf_len(&out) < len);
		buf_free(&in);
	}
	assert_int_equal(decode("", SLICE("abc"), 2, 0, &out), -EFBIG);
	buf_free(&text);
	buf_free(&out);
}

/* 64 MiB of zeros, in a few bytes: refused by the ratio. */
static void test_bomb(void **state)
{
	size_t size = (size_t)64 << 20;
	char *zeros = calloc(1, size);
	static const char *const names[] = {"br", "zstd"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf in = encode(names[i], slice_of(zeros, size)), out = BUF_EMPTY;

		assert_true(buf_len(&in) < 20000);
		assert_int_equal(decode(names[i], buf_slice(&in), 0, 0, &out), -EFBIG);
		assert_true(buf_len(&out) < (size_t)32 << 20);
		buf_free(&in);
		buf_free(&out);
	}
	free(zeros);
}

static int refuse(void *context, struct slice piece)
{
	(void)context;
	(void)piece;
	return -ECANCELED;
}

static void test_kinds(void **state)
{
	/* clang-format off */
	static const struct {
		const char *value;
		int error;
		bool identity;
	} cases[] = {
		{"", 0, true}, {"identity", 0, true}, {"Identity , identity", 0, true},
		{"gzip", 0, false}, {"compress", -ENOTSUP, false}, {"gzip, gzip, gzip", -ENOTSUP, false},
		{"gzip;q=1", -ENOTSUP, false}, {"gzip br", -ENOTSUP, false}, {"*", -ENOTSUP, false},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int error;
		struct coding *coding = coding_new(slice_of_string(cases[i].value), 0, &error);

		assert_int_equal(error, cases[i].error);
		assert_true(!coding == (error != 0));
		if (coding) {
			assert_int_equal(coding_is_identity(coding), cases[i].identity);
			/* Nothing at all is complete: a response to HEAD says gzip as well. */
			assert_int_equal(coding_finish(coding), 0);
		}
		coding_free(coding);
	}
}

static void test_stopped_by_the_caller(void **state)
{
	int error;
	struct coding *coding = coding_new(SLICE("identity"), 0, &error);

	(void)state;
	assert_int_equal(coding_decode(coding, SLICE("a"), refuse, NULL), -ECANCELED);
	assert_int_equal(coding_decode(coding, SLICE("a"), append, NULL), -ECANCELED);
	assert_int_equal(coding_finish(coding), -ECANCELED);
	coding_free(coding);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoded),
		cmocka_unit_test(test_cut_and_continued),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_zstd_magic),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_stopped_by_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
