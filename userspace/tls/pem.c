// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/pem.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>

int pem_read_fd(int fd, size_t max, struct buf *content, struct why *why)
{
	size_t total = 0;

	for (;;) {
		char *to = buf_reserve(content, 4096);
		ssize_t n;

		if (!to)
			return why_set(why, ENOMEM, "out of memory");
		n = pread(fd, to, 4096, (off_t)total);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_set(why, errno, "cannot be read: %s", strerror(errno));
		if (!n)
			return 0;
		buf_commit(content, (size_t)n);
		total += (size_t)n;
		if (total > max)
			return why_set(why, EFBIG, "is longer than %zu bytes", max);
	}
}

const char *pem_openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason ? reason : "no reason given";
}

static BIO *pem_open(struct slice pem)
{
	return pem.len && pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

/* One block, already decoded from base64. False: it is broken, or there is no memory. */
static bool pem_take_block(const char *name, const unsigned char *der, long len,
	STACK_OF(X509) *certificates, STACK_OF(X509_CRL) *crls)
{
	const unsigned char *at = der;

	if (!strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD)) {
		X509 *certificate = d2i_X509(NULL, &at, len);

		if (certificate && at == der + len && sk_X509_push(certificates, certificate))
			return true;
		X509_free(certificate);
		return false;
	}
	if (!strcmp(name, PEM_STRING_X509_CRL) && crls) {
		X509_CRL *crl = d2i_X509_CRL(NULL, &at, len);

		if (crl && at == der + len && sk_X509_CRL_push(crls, crl))
			return true;
		X509_CRL_free(crl);
		return false;
	}
	return true;
}

int pem_read_certificates(struct slice pem, const char *what, STACK_OF(X509) **certificates,
	STACK_OF(X509_CRL) **crls, struct why *why)
{
	STACK_OF(X509) *found = sk_X509_new_null();
	STACK_OF(X509_CRL) *lists = crls ? sk_X509_CRL_new_null() : NULL;
	BIO *bio = pem_open(pem);
	char *name, *header;
	unsigned char *der;
	long len;
	int error;

	if (!found || (crls && !lists)) {
		error = why_set(why, ENOMEM, "%s: out of memory", what);
		goto out;
	}
	ERR_clear_error();
	while (bio && PEM_read_bio(bio, &name, &header, &der, &len)) {
		bool taken = pem_take_block(name, der, len, found, lists);

		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
		if (taken)
			continue;
		error = why_set(why, EINVAL, "%s: block %d cannot be read: %s", what,
			sk_X509_num(found) + 1, pem_openssl_reason());
		goto out;
	}
	if (bio && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		error = why_set(why, EINVAL, "%s: broken PEM after certificate %d: %s", what,
			sk_X509_num(found), pem_openssl_reason());
	else if (!sk_X509_num(found))
		error = why_set(why, EINVAL,
			"%s: there is no certificate in it (expected: -----BEGIN CERTIFICATE-----)",
			what);
	else
		error = 0;
	ERR_clear_error();
out:
	BIO_free(bio);
	if (error) {
		sk_X509_pop_free(found, X509_free);
		sk_X509_CRL_pop_free(lists, X509_CRL_free);
		found = NULL;
		lists = NULL;
	}
	*certificates = found;
	if (crls)
		*crls = lists;
	return error;
}

/* Instead of asking the terminal for a password. */
static int pem_no_password(char *memory, int size, int writing, void *asked)
{
	(void)memory;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

EVP_PKEY *pem_read_key(struct slice pem, const char *what, struct why *why)
{
	BIO *bio = pem_open(pem);
	EVP_PKEY *key = NULL;
	bool asked = false;

	ERR_clear_error();
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, &asked);
	BIO_free(bio);
	if (asked)
		why_set(why, EINVAL,
			"%s: the key is encrypted; store it without a password, mode 0600 "
			"(openssl pkey -in OLD -out NEW)",
			what);
	else if (!key)
		why_set(why, EINVAL, "%s: there is no private key in it that can be read: %s", what,
			pem_openssl_reason());
	ERR_clear_error();
	return key;
}

/* Takes what was written to bio, which it frees with the bytes wiped. */
static int pem_take(BIO *bio, bool written, struct buf *pem)
{
	BUF_MEM *memory = NULL;
	int error = -ENOMEM;

	if (bio && written && BIO_get_mem_ptr(bio, &memory) > 0)
		error = buf_append(pem, memory->data, memory->length);
	BIO_free(bio);
	return error;
}

int pem_write_certificate(const X509 *certificate, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return pem_take(bio, bio && PEM_write_bio_X509(bio, certificate), pem);
}

int pem_write_key(const EVP_PKEY *key, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_secmem());

	return pem_take(bio,
		bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), pem);
}
