// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/issue.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

bool issue_salt(uint8_t salt[KEY_SALT])
{
	return RAND_bytes(salt, KEY_SALT) == 1;
}

bool issue_text(char text[KEY_TEXT + 1])
{
	static const char letters[] = KEY_ALPHABET;
	unsigned char bytes[KEY_ID + KEY_SECRET];

	_Static_assert(sizeof(letters) - 1 == 32, "each letter takes 5 bits of a byte");
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	memcpy(text, "sp-", 3);
	for (size_t i = 0; i < KEY_ID; i++)
		text[3 + i] = letters[bytes[i] & 31];
	text[3 + KEY_ID] = '-';
	for (size_t i = 0; i < KEY_SECRET; i++)
		text[3 + KEY_ID + 1 + i] = letters[bytes[KEY_ID + i] & 31];
	text[KEY_TEXT] = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return true;
}

bool issue_digest(const uint8_t salt[KEY_SALT], struct slice text, uint8_t digest[KEY_DIGEST])
{
	unsigned len = KEY_DIGEST;

	return HMAC(EVP_sha256(), salt, KEY_SALT, (const unsigned char *)text.data, text.len, digest,
		       &len) != NULL &&
	       len == KEY_DIGEST;
}
