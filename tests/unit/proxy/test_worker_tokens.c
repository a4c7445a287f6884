// SPDX-License-Identifier: GPL-2.0-or-later
/* Tokens as clients present them: good ones of both of Entra's versions, and everything that is wrong with
 * others, each with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/credential_message.h"
#include "keeper/answer.h"
#include "proxy/worker.h"
#include "proxy/worker_tokens.h"

#define NOW 1795867200u
#define V1  "https://sts.windows.net/t1/"
#define V2  "https://login.microsoftonline.com/t1/v2.0"

#define CONFIG                                                                                    \
	"datapath: {inside: lo}\n"                                                                \
	"credentials: [{name: entra, from: jwks, url: \"https://login.microsoftonline.com/t1/k\"}]\n" \
	"tokens: [{name: us, keys: entra, issuers: [\"" V1 "\", \"" V2 "\"], audiences: [api, "   \
	"\"https://cognitiveservices.azure.com\"], tenant: t1, algorithms: [RS256, PS256], skew: 60s}]\n"

/* The claims that are good, of which rows change one. */
#define CLAIMS(iss, aud, more) \
	"{\"iss\":\"" iss "\",\"aud\":" aud ",\"tid\":\"t1\",\"oid\":\"o1\",\"nbf\":1795867000," \
	"\"exp\":1795870000" more "}"
#define GOOD CLAIMS(V2, "\"api\"", "")
#define RS256 "{\"alg\":\"RS256\",\"kid\":\"k1\"}"

static struct scene {
	struct worker worker;
	struct config *config;
	EVP_PKEY *keys[2];
} *scene;

/* ---- making tokens ---- */

static void put_base64(struct buf *out, const void *data, size_t len)
{
	char *text = malloc(len * 2 + 8);
	int n = EVP_EncodeBlock((unsigned char *)text, data, (int)len);

	for (int i = 0; i < n && text[i] != '='; i++)
		assert_int_equal(buf_append(out,
			text[i] == '+' ? "-" : text[i] == '/' ? "_" : &text[i], 1), 0);
	free(text);
}

static void put_number(struct buf *out, const EVP_PKEY *key, const char *name)
{
	unsigned char bytes[512];
	BIGNUM *number = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
	put_base64(out, bytes, (size_t)BN_bn2bin(number, bytes));
	BN_free(number);
}

enum how { BY_FIRST, BY_SECOND, BY_PSS, BY_HMAC, BY_NOBODY, BY_FIRST_BUT_CHANGED };

static void sign(struct buf *token, enum how how)
{
	unsigned char signature[512];
	size_t len = sizeof(signature);
	struct slice text = buf_slice(token);
	EVP_PKEY *key = scene->keys[how == BY_SECOND];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pss;

	if (how == BY_HMAC) {
		struct buf secret = BUF_EMPTY;
		unsigned n;

		put_number(&secret, key, "n");
		HMAC(EVP_sha256(), buf_slice(&secret).data, (int)buf_len(&secret),
			(const unsigned char *)text.data, text.len, signature, &n);
		len = n;
		buf_free(&secret);
	} else if (how == BY_NOBODY) {
		len = 0;
	} else {
		assert_int_equal(EVP_DigestSignInit(context, &pss, EVP_sha256(), NULL, key), 1);
		if (how == BY_PSS) {
			EVP_PKEY_CTX_set_rsa_padding(pss, RSA_PKCS1_PSS_PADDING);
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pss, 32);
		}
		assert_int_equal(EVP_DigestSign(context, signature, &len,
			(const unsigned char *)text.data, text.len), 1);
		if (how == BY_FIRST_BUT_CHANGED)
			signature[7] ^= 1;
	}
	EVP_MD_CTX_free(context);
	assert_int_equal(buf_append(token, ".", 1), 0);
	if (len)
		put_base64(token, signature, len);
}

static struct buf make(const char *head, const char *claims, enum how how)
{
	struct buf token = BUF_EMPTY;

	put_base64(&token, head, strlen(head));
	assert_int_equal(buf_append(&token, ".", 1), 0);
	put_base64(&token, claims, strlen(claims));
	sign(&token, how);
	return token;
}

/* ---- the keys, as the keeper gets and tells them ---- */

static void publish(const EVP_PKEY *key, const char *kid, uint32_t version)
{
	struct credential_head head = {.version = version};
	struct buf answer = BUF_EMPTY, message = BUF_EMPTY;
	struct why why = {""};
	size_t index;

	assert_int_equal(buf_printf(&answer,
		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"%s\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"use\":\"sig\","
		"\"kid\":\"%s\",\"x5c\":[\"MII\"],\"e\":\"AQAB\",\"n\":\"", kid, kid), 0);
	put_number(&answer, key, "n");
	assert_int_equal(buf_append(&answer, "\"}]}", 4), 0);
	assert_int_equal(buf_append(&message, &head, sizeof(head)), 0);
	if (answer_keys(buf_slice(&answer), &message, &why))
		fail_msg("%s", why.text);
	assert_true(credentials_take(scene->worker.credentials, buf_slice(&message), &index) >= 0);
	buf_free(&answer);
	buf_free(&message);
}

static int set_up(void **state)
{
	struct why why = {""};

	(void)state;
	scene = calloc(1, sizeof(*scene));
	if (config_parse("c", SLICE(CONFIG), &scene->config, &why))
		fail_msg("%s", why.text);
	scene->worker.config = scene->config;
	scene->worker.keeper = -1;
	scene->worker.credentials = credentials_new(scene->config->ncredentials);
	scene->worker.tokens = worker_tokens_new(&scene->worker);
	for (int i = 0; i < 2; i++)
		scene->keys[i] = EVP_RSA_gen(2048);
	return scene->worker.tokens ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	worker_tokens_free(scene->worker.tokens);
	credentials_free(scene->worker.credentials);
	config_free(scene->config);
	for (int i = 0; i < 2; i++)
		EVP_PKEY_free(scene->keys[i]);
	free(scene);
	return 0;
}

static enum token_state check(struct slice text, uint64_t now, const struct token **token)
{
	return worker_tokens_check(scene->worker.tokens, text, now, token);
}

/* ---- what must hold ---- */

static void nothing_is_believed_without_keys(void **state)
{
	struct buf token = make(RS256, GOOD, BY_FIRST);
	const struct token *said;

	(void)state;
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_UNCHECKED);
	buf_free(&token);
}

static const struct row {
	const char *name, *head, *claims;
	enum how how;
	enum token_state state;
} rows[] = {
	{"version 2", RS256, GOOD, BY_FIRST, TOKEN_VALID},
	{"version 1, of several audiences", RS256,
		CLAIMS(V1, "[\"x\",\"https://cognitiveservices.azure.com\"]", ""), BY_FIRST, TOKEN_VALID},
	{"PSS", "{\"alg\":\"PS256\",\"kid\":\"k1\"}", GOOD, BY_PSS, TOKEN_VALID},
	{"expired a moment ago, by our clock", RS256,
		"{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\",\"exp\":1795867141}", BY_FIRST, TOKEN_VALID},
	{"expired", RS256, "{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\",\"exp\":1795867140}",
		BY_FIRST, TOKEN_EXPIRED},
	{"valid from now on, by its clock", RS256,
		"{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\",\"exp\":1795870000,\"nbf\":1795867260}",
		BY_FIRST, TOKEN_VALID},
	{"early", RS256,
		"{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\",\"exp\":1795870000,\"nbf\":1795867261}",
		BY_FIRST, TOKEN_EARLY},
	{"no end", RS256, "{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\"}", BY_FIRST, TOKEN_MALFORMED},
	{"an end that is no number", RS256, "{\"iss\":\"" V2 "\",\"aud\":\"api\",\"exp\":\"never\"}",
		BY_FIRST, TOKEN_MALFORMED},
	{"an end beyond all calendars", RS256, "{\"iss\":\"" V2 "\",\"aud\":\"api\",\"exp\":1e300}",
		BY_FIRST, TOKEN_MALFORMED},
	{"another audience", RS256, CLAIMS(V2, "\"api2\"", ""), BY_FIRST, TOKEN_AUDIENCE},
	{"an audience that is no text", RS256, CLAIMS(V2, "{\"api\":1}", ""), BY_FIRST, TOKEN_AUDIENCE},
	{"no audience", RS256, CLAIMS(V2, "[]", ""), BY_FIRST, TOKEN_AUDIENCE},
	{"another tenant", RS256,
		"{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t2\",\"exp\":1795870000}", BY_FIRST, TOKEN_TENANT},
	{"no tenant", RS256, "{\"iss\":\"" V2 "\",\"aud\":\"api\",\"exp\":1795870000}", BY_FIRST,
		TOKEN_TENANT},
	{"another issuer", RS256, CLAIMS("https://evil/", "\"api\"", ""), BY_FIRST, TOKEN_FOREIGN},
	{"an issuer that only begins so", RS256, CLAIMS(V2 "/", "\"api\"", ""), BY_FIRST, TOKEN_FOREIGN},
	{"no issuer", RS256, "{\"aud\":\"api\",\"tid\":\"t1\",\"exp\":1795870000}", BY_FIRST, TOKEN_MALFORMED},
	{"another key under its name", RS256, GOOD, BY_SECOND, TOKEN_SIGNATURE},
	{"a changed signature", RS256, GOOD, BY_FIRST_BUT_CHANGED, TOKEN_SIGNATURE},
	{"no signature", RS256, GOOD, BY_NOBODY, TOKEN_SIGNATURE},
	{"PSS that says PKCS #1", RS256, GOOD, BY_PSS, TOKEN_SIGNATURE},
	{"another key", "{\"alg\":\"RS256\",\"kid\":\"k2\"}", GOOD, BY_FIRST, TOKEN_KEY_UNKNOWN},
	{"no key", "{\"alg\":\"RS256\"}", GOOD, BY_FIRST, TOKEN_KEY_UNKNOWN},
	{"a key of its own", "{\"alg\":\"RS256\",\"kid\":\"k3\",\"jwk\":{\"kty\":\"RSA\"},\"jku\":\"https://evil\"}",
		GOOD, BY_FIRST, TOKEN_KEY_UNKNOWN},
	{"the public key as the secret of an HMAC", "{\"alg\":\"HS256\",\"kid\":\"k1\"}", GOOD, BY_HMAC,
		TOKEN_ALGORITHM},
	{"no algorithm at all", "{\"alg\":\"none\",\"kid\":\"k1\"}", GOOD, BY_NOBODY, TOKEN_ALGORITHM},
	{"none of the allowed ones", "{\"alg\":\"RS512\",\"kid\":\"k1\"}", GOOD, BY_FIRST, TOKEN_ALGORITHM},
	{"in other letters", "{\"alg\":\"rs256\",\"kid\":\"k1\"}", GOOD, BY_FIRST, TOKEN_ALGORITHM},
	{"an extension that must be understood", "{\"alg\":\"RS256\",\"kid\":\"k1\",\"crit\":[\"b64\"]}", GOOD,
		BY_FIRST, TOKEN_MALFORMED},
	{"a claim twice", RS256, CLAIMS(V2, "\"api2\"", ",\"aud\":\"api\""), BY_FIRST, TOKEN_MALFORMED},
	{"a name of the head twice", "{\"alg\":\"RS256\",\"kid\":\"k1\",\"alg\":\"none\"}", GOOD, BY_FIRST,
		TOKEN_MALFORMED},
	{"half a JSON", RS256, "{\"iss\":\"" V2 "\"", BY_FIRST, TOKEN_MALFORMED},
	{"a token in a token", "{\"alg\":\"RS256\",\"kid\":\"k1\",\"cty\":\"JWT\"}", "\"eyJhbGciOiJub25lIn0.e30.\"",
		BY_FIRST, TOKEN_MALFORMED},
};

static void each_has_its_reason(void **state)
{
	const struct token *said;

	(void)state;
	publish(scene->keys[0], "k1", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf token = make(rows[i].head, rows[i].claims, rows[i].how);
		enum token_state got;

		/* Twice: what was checked once is not believed more, or less. */
		for (int k = 0; k < 2; k++) {
			got = check(buf_slice(&token), NOW, &said);
			if (got != rows[i].state)
				fail_msg("%s: %s", rows[i].name, token_state_name(got));
			assert_int_equal(said != NULL, got == TOKEN_VALID);
		}
		buf_free(&token);
	}
}

static void what_is_no_token_is_nobodys(void **state)
{
	static const char *const texts[] = {"", "k", "sk-0123456789", "eyJ", "eyJhbGciOiJSUzI1NiJ9",
		"eyJhbGciOiJSUzI1NiJ9.e30"};
	struct buf huge = BUF_EMPTY, token = make(RS256, GOOD, BY_FIRST);
	const struct token *said;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(check(slice_of_string(texts[i]), NOW, &said), TOKEN_FOREIGN);
	/* Cut anywhere, or with anything behind it, it is not the token that it was. */
	for (size_t len = 0; len < buf_len(&token); len++)
		assert_int_not_equal(check(slice_first(buf_slice(&token), len), NOW, &said), TOKEN_VALID);
	assert_int_equal(buf_append(&token, ".e30", 4), 0);
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_MALFORMED);
	assert_int_equal(buf_append(&huge, "eyJ", 3), 0);
	for (int i = 0; i < TOKEN_MAX; i++)
		assert_int_equal(buf_append(&huge, "a", 1), 0);
	assert_int_equal(check(buf_slice(&huge), NOW, &said), TOKEN_MALFORMED);
	buf_free(&huge);
	buf_free(&token);
}

static void it_says_who_it_is(void **state)
{
	struct buf token = make(RS256,
		CLAIMS(V2, "\"api\"",
			",\"azp\":\"a1\",\"preferred_username\":\"ann@contoso.com\",\"scp\":\"Chat.Read x\","
			"\"roles\":[\"Admin\",7,\"with space\"],\"groups\":[\"g1\",\"g,2\"]"),
		BY_FIRST);
	struct buf more = make(RS256,
		CLAIMS(V1, "\"api\"", ",\"appid\":\"a2\",\"_claim_names\":{\"groups\":\"src1\"}"), BY_FIRST);
	static const char *const groups[] = {"g1", "role.Admin", "scope.Chat.Read", "scope.x", "app.a1"};
	const struct token *said;

	(void)state;
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_VALID);
	assert_true(slice_equal(said->object, SLICE("o1")));
	assert_true(slice_equal(said->name, SLICE("ann@contoso.com")));
	assert_int_equal(said->ngroups, 5);
	for (size_t i = 0; i < 5; i++)
		assert_true(slice_equal(said->groups[i], slice_of_string(groups[i])));
	assert_true(said->overage); /* one cannot be told */
	assert_int_equal(check(buf_slice(&more), NOW, &said), TOKEN_VALID);
	assert_true(said->overage);
	assert_true(slice_equal(said->application, SLICE("a2")));
	buf_free(&token);
	buf_free(&more);
}

static void it_is_believed_until_its_end_and_its_key_is_gone(void **state)
{
	struct buf token = make(RS256, GOOD, BY_FIRST);
	const struct token *said;

	(void)state;
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_VALID);
	assert_int_equal(check(buf_slice(&token), 1795870059, &said), TOKEN_VALID);
	assert_int_equal(check(buf_slice(&token), 1795870060, &said), TOKEN_EXPIRED);
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_VALID);
	/* The same name for another key: what the one before had signed is worth nothing. */
	publish(scene->keys[1], "k1", 2);
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_SIGNATURE);
	publish(scene->keys[0], "k1", 3);
	assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_VALID);
	buf_free(&token);
}

/* However many there are, memory is for as many as there is room for. */
static void more_than_there_is_room_for(void **state)
{
	const struct token *said;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char claims[256];
		struct buf token;

		snprintf(claims, sizeof(claims),
			"{\"iss\":\"" V2 "\",\"aud\":\"api\",\"tid\":\"t1\",\"oid\":\"%d\",\"exp\":%u}", i,
			NOW + 1000 + (unsigned)i);
		token = make(RS256, claims, BY_FIRST);
		assert_int_equal(check(buf_slice(&token), NOW, &said), TOKEN_VALID);
		buf_free(&token);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_believed_without_keys),
		cmocka_unit_test(each_has_its_reason),
		cmocka_unit_test(what_is_no_token_is_nobodys),
		cmocka_unit_test(it_says_who_it_is),
		cmocka_unit_test(it_is_believed_until_its_end_and_its_key_is_gone),
		cmocka_unit_test(more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
