// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/part_digest.h"

#include <openssl/evp.h>
#include <stdio.h>

static void *digest_begin(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
		return context;
	EVP_MD_CTX_free(context);
	return NULL;
}

static void digest_add(void *hash, struct slice bytes)
{
	EVP_DigestUpdate(hash, bytes.data, bytes.len);
}

static void digest_end(void *hash, char hex[PARTS_HEX])
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	hex[0] = '\0';
	if (EVP_DigestFinal_ex(hash, made, &len) == 1 && 2 * len < PARTS_HEX)
		for (unsigned i = 0; i < len; i++)
			snprintf(hex + 2 * (size_t)i, 3, "%02x", made[i]);
	EVP_MD_CTX_free(hash);
}

static void digest_drop(void *hash)
{
	EVP_MD_CTX_free(hash);
}

const struct parts_digest part_digest = {digest_begin, digest_add, digest_end, digest_drop};
