// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker that was taken over sends as its leaf key: taken is one of the kind only, and it is
 * written as it was read, up to what DER leaves to the writer. */
#include <stdint.h>
#include <stdlib.h>
#include <openssl/err.h>

#include "tls/leaf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ca ca; /* made once: another key than that of any input */
	EVP_PKEY *keys[LEAF_KINDS] = {NULL}, *again[LEAF_KINDS] = {NULL};
	struct slice message = slice_of((const char *)data, size);
	unsigned taken = 0;

	if (!ca.key)
		ca.key = EVP_EC_gen("P-256");
	demand(ca.key);
	if (leaf_key_bind(keys, &ca, message, NULL) == 0) {
		demand(leaf_key_bind(keys, &ca, message, NULL) == 0);
		for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
			struct buf written = BUF_EMPTY;

			if (!keys[kind])
				continue;
			taken++;
			demand(EVP_PKEY_is_a(keys[kind], kind == LEAF_RSA ? "RSA" : "EC"));
			demand(EVP_PKEY_get_bits(keys[kind]) == (kind == LEAF_RSA ? 2048 : 256));
			demand(leaf_key_write(keys, kind, &written) == 0);
			demand(leaf_key_bind(again, &ca, buf_slice(&written), NULL) == 0);
			demand(again[kind] && EVP_PKEY_eq(again[kind], keys[kind]) == 1);
			buf_free(&written);
		}
		demand(taken == 1);
	}
	demand(ERR_peek_error() == 0);
	leaf_keys_free(keys);
	leaf_keys_free(again);
	return 0;
}
