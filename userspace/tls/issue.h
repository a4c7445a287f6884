/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The arithmetic of keys that are issued here (policy/key_table.h), which needs a library. */
#ifndef TLS_ISSUE_H
#define TLS_ISSUE_H

#include "policy/key_table.h"

/* A salt, and the text of a fresh key with its NUL, of random bytes. False: there are none. */
bool issue_salt(uint8_t salt[KEY_SALT]);
bool issue_text(char text[KEY_TEXT + 1]);
/* key_digest_fn: HMAC-SHA-256 (RFC 2104) of the text, keyed by the salt. */
bool issue_digest(const uint8_t salt[KEY_SALT], struct slice text, uint8_t digest[KEY_DIGEST]);

#endif
