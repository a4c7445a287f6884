// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever those who give credentials out answer: a value that fits a header, or a reason that fits a
 * log line and holds nothing of the answer but codes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/answer.h"
#include "keeper/fetch.h"
#include "keeper/heritage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition)
{
	if (!condition)
		abort();
}

static void demand_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		demand(text.data[i] >= ' ' && text.data[i] <= '~');
}

static void value(int error, struct secret *secret, const struct why *why)
{
	demand(!error == (secret != NULL));
	if (secret) {
		demand_printable(secret_text(secret));
		demand(secret_text(secret).len > 0);
	} else {
		demand(why->text[0] != '\0');
		demand_printable(slice_of_string(why->text));
	}
	secret_free(secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char none[] = "c", audience[] = "https://a.example";
	static const struct config_credential credential = {
		.name = none, .from = CONFIG_CREDENTIAL_MANAGED_IDENTITY, .audience = audience};
	struct slice body = slice_of((const char *)data, size);
	struct heritage heritage = {.got_ns = 0};
	struct answer_token token;
	struct buf keys = BUF_EMPTY;
	struct secret *secret;
	struct why why = {""};
	size_t index = 0;
	int error;

	error = answer_token(body, &token, &why);
	if (!error)
		demand(token.expires_s > 0 && token.refresh_s <= token.expires_s);
	value(error, token.token, &why);
	error = answer_secret(body, &secret, &why);
	value(error, secret, &why);
	error = answer_keys(body, &keys, &why);
	demand_printable(error ? slice_of_string(why.text) : buf_slice(&keys));
	buf_free(&keys);
	answer_refusal(403, body, &why);
	demand_printable(slice_of_string(why.text));
	demand(strlen(why.text) < 200);
	if (heritage_read(body, &credential, 1, &index, &heritage) == 0)
		demand(index == 0 && heritage.value.len > 0 && heritage.value.len <= size);
	return 0;
}
