// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody hands over as a CA: nothing of it makes the reader of DER, the import or the lint
 * fall over, and what DER's reader takes ends where it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "tls/ca_parts.h"
#include "tls/certificate.h"
#include "tls/der.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static int password(void *context, const char *path, char text[CA_PASSWORD_SIZE], struct why *why)
{
	(void)context;
	(void)path;
	(void)why;
	strcpy(text, "right");
	return 0;
}

static void told(void *context, enum ca_refused refused, const char *problem)
{
	(void)context;
	(void)refused;
	demand(*problem && strlen(problem) < 400);
}

static void left_out(const X509 *certificate)
{
	demand(certificate);
}

static void check_der(struct slice bytes)
{
	size_t offset = 0;
	const char *problem = der_problem(bytes, &offset);

	demand(offset <= bytes.len);
	if (problem)
		return;
	demand(bytes.len >= 2);
	demand(der_problem(slice_first(bytes, bytes.len - 1), &offset));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	const unsigned char *at = data;
	PKCS12 *pkcs12 = d2i_PKCS12(NULL, &at, (long)size);
	struct ca_parts parts = {0};
	struct why why = {""};
	struct ca *ca = NULL;

	check_der(bytes);
	ERR_clear_error();
	/* Whoever makes one says how long its password is stretched: hours, if he likes. */
	PKCS12_free(pkcs12);
	if (pkcs12)
		return 0;
	demand(ca_parts_read(&parts, bytes, "f", password, NULL, &why) == 0 || why.text[0]);
	if (sk_X509_num(parts.certificates) > 0) {
		struct ca alone = {.certificate = sk_X509_value(parts.certificates, 0),
			.chain = parts.certificates};

		ca_lint(&alone, 1700000000000000000, told, NULL);
	}
	demand(ca_parts_join(&parts, left_out, &ca, &why) == 0 || why.text[0]);
	ca_free(ca);
	ca_parts_free(&parts);
	ERR_clear_error();
	return 0;
}
