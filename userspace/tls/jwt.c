// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/jwt.h"

#include <cjose/cjose.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define KEYS_MOST 64

struct jwt_key {
	cjose_jwk_t *jwk;
	char *algorithm; /* that it is for alone; NULL: any of its kind */
};

struct jwt_keys {
	struct jwt_key keys[KEYS_MOST];
	size_t n;
};

static int take_key(struct jwt_keys *keys, yyjson_val *value)
{
	const char *algorithm = yyjson_get_str(yyjson_obj_get(value, "alg"));
	struct jwt_key *key = &keys->keys[keys->n];
	size_t len;
	char *json = yyjson_val_write(value, 0, &len);

	if (!json)
		return -1;
	key->jwk = cjose_jwk_import(json, len, NULL);
	free(json);
	if (!key->jwk)
		return 0; /* of a kind that is not known here */
	key->algorithm = algorithm ? strdup(algorithm) : NULL;
	keys->n++;
	return algorithm && !key->algorithm ? -1 : 0;
}

struct jwt_keys *jwt_keys_new(struct slice json)
{
	yyjson_doc *doc = json.len ? yyjson_read(json.data, json.len, 0) : NULL;
	struct jwt_keys *keys = calloc(1, sizeof(*keys));
	yyjson_arr_iter all;
	yyjson_val *value;
	int error = keys ? 0 : -1;

	yyjson_arr_iter_init(yyjson_obj_get(yyjson_doc_get_root(doc), "keys"), &all);
	while (!error && keys->n < KEYS_MOST && (value = yyjson_arr_iter_next(&all)))
		error = take_key(keys, value);
	yyjson_doc_free(doc);
	if (!error && keys->n)
		return keys;
	jwt_keys_free(keys);
	return NULL;
}

void jwt_keys_free(struct jwt_keys *keys)
{
	for (size_t i = 0; keys && i < keys->n; i++) {
		cjose_jwk_release(keys->keys[i].jwk);
		free(keys->keys[i].algorithm);
	}
	free(keys);
}

/* RSA with RS and PS, curves with ES: a public key is never taken for the secret of an HMAC. */
static bool is_for(const struct jwt_key *key, const char *algorithm)
{
	cjose_jwk_kty_t kind = cjose_jwk_get_kty(key->jwk, NULL);

	if (key->algorithm && strcmp(key->algorithm, algorithm) != 0)
		return false;
	return (kind == CJOSE_JWK_KTY_RSA && (strncmp(algorithm, "RS", 2) == 0 ||
						     strncmp(algorithm, "PS", 2) == 0)) ||
	       (kind == CJOSE_JWK_KTY_EC && strncmp(algorithm, "ES", 2) == 0);
}

static const struct jwt_key *find(
	const struct jwt_keys *keys, struct slice kid, const char *algorithm)
{
	for (size_t i = 0; keys && i < keys->n; i++) {
		const char *name = cjose_jwk_get_kid(keys->keys[i].jwk, NULL);

		if (name && slice_equal(slice_of_string(name), kid) &&
			is_for(&keys->keys[i], algorithm))
			return &keys->keys[i];
	}
	return NULL;
}

enum jwt_verdict jwt_verify(const struct jwt_keys *keys, struct slice kid, const char *algorithm,
	struct slice token)
{
	const struct jwt_key *key = find(keys, kid, algorithm);
	enum jwt_verdict verdict = JWT_BAD;
	cjose_jws_t *jws;

	if (!key)
		return JWT_KEY_UNKNOWN;
	jws = cjose_jws_import(token.data, token.len, NULL);
	/* The library goes by the algorithm that stands in the token: the one that was looked at. */
	if (jws && strcmp(cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, NULL),
			   algorithm) == 0 &&
		cjose_jws_verify(jws, key->jwk, NULL))
		verdict = JWT_GOOD;
	cjose_jws_release(jws);
	return verdict;
}
