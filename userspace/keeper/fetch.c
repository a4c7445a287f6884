// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "config/key_file.h"
#include "keeper/answer.h"
#include "keeper/assertion.h"

#define IMDS_HOST      "169.254.169.254"
#define IMDS_TOKEN     "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
#define VAULT_VERSION  "?api-version=7.4"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
/* A token for the vault that is good for less than this is not used any more. */
#define TOKEN_MARGIN_NS (60 * NS_PER_S)

struct fetch {
	const struct http_caller *caller;
	const struct config_credential *credential;
	char vault[CONFIG_AUDIENCE_SIZE]; /* of a Key Vault: its audience */
	fetch_done *done;
	void *context;
	struct buf file;	 /* client secret or PEM; empty: there is none */
	struct http_call *call;	 /* under way; NULL: none */
	struct secret *token;	 /* for the vault, between two fetches too */
	uint64_t token_until_ns; /* CLOCK_MONOTONIC */
};

bool fetch_is_needed(const struct config_credential *credential)
{
	return credential->from >= CONFIG_CREDENTIAL_KEY_VAULT;
}

static bool is_app(const struct config_credential *credential)
{
	return credential->tenant != NULL;
}

static bool is_vault(const struct config_credential *credential)
{
	return credential->from == CONFIG_CREDENTIAL_KEY_VAULT;
}

struct fetch *fetch_new(const struct http_caller *caller, const struct config_credential *credential,
	fetch_done *done, void *context)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return NULL;
	fetch->caller = caller;
	fetch->credential = credential;
	fetch->done = done;
	fetch->context = context;
	if (is_vault(credential))
		config_vault_audience(credential->secret, fetch->vault);
	return fetch;
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	http_call_cancel(fetch->call);
	secret_free(fetch->token);
	buf_wipe(&fetch->file);
	free(fetch);
}

bool fetch_is_ready(const struct fetch *fetch)
{
	return !is_app(fetch->credential) || buf_len(&fetch->file);
}

int fetch_take_file(struct fetch *fetch, struct slice content, struct why *why)
{
	struct buf file = BUF_EMPTY;
	int error = fetch->credential->client_certificate ? assertion_check(content, why) : 0;

	if (error)
		return error;
	if (buf_append_slice(&file, content))
		return why_set(why, ENOMEM, "out of memory");
	buf_wipe(&fetch->file);
	fetch->file = file;
	/* What the one before had got is not to outlive it. */
	secret_free(fetch->token);
	fetch->token = NULL;
	return 0;
}

/* ---- its end ---- */

static void fetch_fail(struct fetch *fetch, const struct why *why, uint64_t pause_ns)
{
	const struct fetch_result result = {.pause_ns = pause_ns, .why = *why};

	fetch->done(fetch->context, &result);
}

/* Before half of its life is over a token is asked for again: there is time for failures. */
static void fetch_end_with_token(struct fetch *fetch, const struct answer_token *token)
{
	uint64_t now_ns = clock_monotonic_ns(), life_ns = token->expires_s * NS_PER_S,
		 refresh_ns = token->refresh_s * NS_PER_S;
	const struct fetch_result result = {
		.value = secret_text(token->token),
		.expires_ns = now_ns + life_ns,
		.next_ns = now_ns + (refresh_ns && refresh_ns < life_ns / 2 ? refresh_ns : life_ns / 2),
	};

	fetch->done(fetch->context, &result);
}

static void fetch_end_with_secret(struct fetch *fetch, const struct secret *value)
{
	const struct fetch_result result = {
		.value = secret_text(value),
		.next_ns = clock_monotonic_ns() + fetch->credential->refresh_ns,
	};

	fetch->done(fetch->context, &result);
}

/* ---- requests ---- */

/* RFC 3986 section 2.1: all but the unreserved. */
static int add_encoded(struct buf *out, const char *text, size_t len)
{
	int error = 0;

	for (size_t i = 0; i < len && !error; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c && strchr("-._~", c)))
			error = buf_append(out, &text[i], 1);
		else
			error = buf_printf(out, "%%%02X", c);
	}
	return error;
}

static int add_field(struct buf *out, const char *name, const char *text, size_t len)
{
	int error = buf_printf(out, "%s%s=", buf_len(out) ? "&" : "", name);

	return error ? error : add_encoded(out, text, len);
}

static void fetch_answered_token(void *context, const struct http_answer *answer);
static void fetch_answered_secret(void *context, const struct http_answer *answer);

static void fetch_send(struct fetch *fetch, const struct http_target *target, struct buf *request,
	int error, http_call_done *done)
{
	struct why why;

	if (!error)
		fetch->call = http_call_start(fetch->caller, target, request, done, fetch);
	else
		buf_wipe(request);
	if (fetch->call)
		return;
	why_set(&why, ENOMEM, "out of memory");
	fetch_fail(fetch, &why, 0);
}

static const char *audience_of(const struct fetch *fetch)
{
	return is_vault(fetch->credential) ? fetch->vault : fetch->credential->audience;
}

/* https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token:
 * the header keeps away who can only make this machine follow a URL. */
static void fetch_ask_imds(struct fetch *fetch)
{
	static const struct address imds = {{[10] = 0xff, 0xff, 169, 254, 169, 254}};
	const struct http_target target = {.host = IMDS_HOST, .port = 80, .plain = &imds};
	const char *identity = fetch->credential->identity, *audience = audience_of(fetch);
	struct buf request = BUF_EMPTY;
	int error = buf_printf(&request, "GET " IMDS_TOKEN);

	if (!error)
		error = add_encoded(&request, audience, strlen(audience));
	if (!error && identity)
		error = buf_printf(&request, "&client_id=");
	if (!error && identity)
		error = add_encoded(&request, identity, strlen(identity));
	if (!error)
		error = buf_printf(&request, " HTTP/1.1\r\nHost: " IMDS_HOST
					     "\r\nMetadata: true\r\nAccept: application/json\r\n"
					     "Connection: close\r\n\r\n");
	fetch_send(fetch, &target, &request, error, fetch_answered_token);
}

static int add_proof(struct fetch *fetch, const char *endpoint, struct buf *form, struct why *why)
{
	const struct config_credential *credential = fetch->credential;
	const struct assertion_claims claims = {
		credential->client_id, endpoint, clock_realtime_ns() / NS_PER_S};
	struct slice file = buf_slice(&fetch->file);
	struct buf jwt = BUF_EMPTY;
	int error;

	if (!credential->client_certificate)
		return add_field(form, "client_secret", file.data, file.len);
	error = assertion_make(file, &claims, &jwt, why);
	if (!error)
		error = add_field(form, "client_assertion_type", ASSERTION_TYPE,
			strlen(ASSERTION_TYPE));
	if (!error)
		error = add_field(
			form, "client_assertion", buf_slice(&jwt).data, buf_len(&jwt));
	buf_wipe(&jwt);
	return error;
}

/* RFC 6749 section 4.4, as Entra has it: the scope is the audience and "/.default". */
static void fetch_ask_entra(struct fetch *fetch)
{
	const struct config_credential *credential = fetch->credential;
	const struct http_target target = {.host = credential->authority, .port = 443};
	struct buf request = BUF_EMPTY, form = BUF_EMPTY;
	char endpoint[512], scope[300];
	struct why why = {"out of memory"};
	int error;

	snprintf(endpoint, sizeof(endpoint), "https://%s/%s/oauth2/v2.0/token", credential->authority,
		credential->tenant);
	snprintf(scope, sizeof(scope), "%s/.default", audience_of(fetch));
	error = add_field(&form, "grant_type", "client_credentials", 18);
	if (!error)
		error = add_field(&form, "client_id", credential->client_id,
			strlen(credential->client_id));
	if (!error)
		error = add_field(&form, "scope", scope, strlen(scope));
	if (!error)
		error = add_proof(fetch, endpoint, &form, &why);
	if (!error)
		error = buf_printf(&request,
			"POST /%s/oauth2/v2.0/token HTTP/1.1\r\nHost: %s\r\n"
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n"
			"Accept: application/json\r\nConnection: close\r\n\r\n",
			credential->tenant, credential->authority, buf_len(&form));
	if (!error)
		error = buf_append_slice(&request, buf_slice(&form));
	buf_wipe(&form);
	if (error) {
		buf_wipe(&request);
		fetch_fail(fetch, &why, 0);
		return;
	}
	fetch_send(fetch, &target, &request, 0, fetch_answered_token);
}

static void fetch_ask_token(struct fetch *fetch)
{
	if (is_app(fetch->credential))
		fetch_ask_entra(fetch);
	else
		fetch_ask_imds(fetch);
}

static void fetch_ask_vault(struct fetch *fetch)
{
	struct config_url url = config_url_split(fetch->credential->secret);
	const struct http_target target = {.host = url.host, .port = url.port};
	struct buf request = BUF_EMPTY;
	int error = buf_printf(&request,
		"GET %s" VAULT_VERSION " HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
		"Connection: close\r\nAuthorization: Bearer ",
		url.path, url.host);

	if (!error)
		error = buf_append_slice(&request, secret_text(fetch->token));
	if (!error)
		error = buf_printf(&request, "\r\n\r\n");
	fetch_send(fetch, &target, &request, error, fetch_answered_secret);
}

/* ---- answers ---- */

/* "key vault contoso.vault.azure.net: answered 403 (Forbidden)"; false: there is none to read. */
static bool is_good(struct fetch *fetch, const char *who, const struct http_answer *answer)
{
	struct why why, refused;

	if (answer->status == 200)
		return true;
	if (!answer->status)
		why_set(&why, EIO, "%s: %s", who, answer->why.text);
	else {
		answer_refusal(answer->status, answer->body, &refused);
		why_set(&why, EACCES, "%s %s", who, refused.text);
	}
	fetch_fail(fetch, &why, answer->pause_ns);
	return false;
}

static void fetch_answered_token(void *context, const struct http_answer *answer)
{
	struct fetch *fetch = context;
	const char *who = is_app(fetch->credential) ? "the token endpoint of Entra"
						    : "the instance metadata service";
	struct answer_token token;
	struct why why, said;

	fetch->call = NULL;
	if (!is_good(fetch, who, answer))
		return;
	if (answer_token(answer->body, &token, &why)) {
		why_set(&said, EINVAL, "%s: %s", who, why.text);
		fetch_fail(fetch, &said, 0);
		return;
	}
	if (!is_vault(fetch->credential)) {
		fetch_end_with_token(fetch, &token);
		secret_free(token.token);
		return;
	}
	secret_free(fetch->token);
	fetch->token = token.token;
	fetch->token_until_ns = clock_monotonic_ns() + token.expires_s * NS_PER_S;
	fetch_ask_vault(fetch);
}

static void fetch_answered_secret(void *context, const struct http_answer *answer)
{
	struct fetch *fetch = context;
	struct secret *value;
	struct why why, said;

	fetch->call = NULL;
	/* Whatever is wrong with the token: the next fetch has another one. */
	if (answer->status == 401 || answer->status == 403) {
		secret_free(fetch->token);
		fetch->token = NULL;
	}
	if (!is_good(fetch, "the key vault", answer))
		return;
	if (answer_secret(answer->body, &value, &why)) {
		why_set(&said, EINVAL, "the key vault: %s", why.text);
		fetch_fail(fetch, &said, 0);
		return;
	}
	fetch_end_with_secret(fetch, value);
	secret_free(value);
}

/* ---- keys of those who issue tokens ---- */

static void fetch_answered_keys(void *context, const struct http_answer *answer)
{
	struct fetch *fetch = context;
	struct fetch_result result;
	struct buf keys = BUF_EMPTY;
	struct why why, said;

	fetch->call = NULL;
	if (!is_good(fetch, "the address of the keys", answer))
		return;
	if (answer_keys(answer->body, &keys, &why)) {
		why_set(&said, EINVAL, "the address of the keys: %s", why.text);
		fetch_fail(fetch, &said, 0);
	} else {
		result = (struct fetch_result){
			.value = buf_slice(&keys),
			.next_ns = clock_monotonic_ns() + fetch->credential->refresh_ns,
		};
		fetch->done(fetch->context, &result);
	}
	buf_free(&keys);
}

static void fetch_ask_keys(struct fetch *fetch)
{
	struct config_url url = config_url_split(fetch->credential->url);
	const struct http_target target = {.host = url.host, .port = url.port};
	struct buf request = BUF_EMPTY;
	int error = buf_printf(&request,
		"GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
		"Connection: close\r\n\r\n",
		*url.path ? url.path : "/", url.host);

	fetch_send(fetch, &target, &request, error, fetch_answered_keys);
}

void fetch_start(struct fetch *fetch)
{
	if (fetch->call || !fetch_is_ready(fetch))
		return;
	if (fetch->credential->from == CONFIG_CREDENTIAL_JWKS) {
		fetch_ask_keys(fetch);
		return;
	}
	if (is_vault(fetch->credential) && fetch->token &&
		clock_monotonic_ns() + TOKEN_MARGIN_NS < fetch->token_until_ns)
		fetch_ask_vault(fetch);
	else
		fetch_ask_token(fetch);
}
