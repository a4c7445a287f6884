// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/assertion.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "tls/pem.h"

#define LIFE_S	 300 /* of an assertion; Entra takes up to ten minutes */
#define KEY_BITS 2048

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
};

static void identity_free(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

/* No passphrase is asked for. */
static int no_passphrase(char *memory, int size, int writing, void *context)
{
	(void)memory;
	(void)size;
	(void)writing;
	(void)context;
	return 0;
}

static int identity_read(struct slice pem, struct identity *identity, struct why *why)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	int error = 0;

	*identity = (struct identity){.key = NULL};
	if (bio)
		identity->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (bio && BIO_reset(bio) == 1)
		identity->certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (!identity->key || !identity->certificate)
		error = why_set(why, EINVAL,
			"expected a certificate and its unencrypted key, in PEM form: there is no %s",
			identity->certificate ? "key" : "certificate");
	else if (EVP_PKEY_get_base_id(identity->key) != EVP_PKEY_RSA ||
		 EVP_PKEY_get_bits(identity->key) < KEY_BITS)
		error = why_set(why, EINVAL, "expected an RSA key of at least %d bits", KEY_BITS);
	else if (X509_check_private_key(identity->certificate, identity->key) != 1)
		error = why_set(why, EINVAL, "the key is not the certificate's");
	(void)pem_openssl_reason(); /* takes the errors of this thread */
	if (error) {
		identity_free(identity);
		*identity = (struct identity){.key = NULL};
	}
	return error;
}

int assertion_check(struct slice pem, struct why *why)
{
	struct identity identity;
	int error = identity_read(pem, &identity, why);

	identity_free(&identity);
	return error;
}

/* base64url without padding (RFC 7515 section 2). */
static int add_base64url(struct buf *out, const void *data, size_t len)
{
	char *to = buf_reserve(out, 4 * ((len + 2) / 3) + 1);
	int n;

	if (!to)
		return -ENOMEM;
	n = EVP_EncodeBlock((unsigned char *)to, data, (int)len);
	while (n > 0 && to[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++)
		to[i] = to[i] == '+' ? '-' : to[i] == '/' ? '_' : to[i];
	buf_commit(out, (size_t)n);
	return 0;
}

static int add_json(struct buf *out, yyjson_mut_doc *doc)
{
	size_t len = 0;
	char *text = doc ? yyjson_mut_write(doc, 0, &len) : NULL;
	int error = text ? add_base64url(out, text, len) : -ENOMEM;

	free(text);
	yyjson_mut_doc_free(doc);
	return error;
}

static int add_header(struct buf *out, X509 *certificate)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf thumbprint = BUF_EMPTY;
	unsigned len = 0;
	int error;

	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "typ", "JWT");
	yyjson_mut_obj_add_str(doc, root, "alg", "PS256");
	error = X509_digest(certificate, EVP_sha256(), digest, &len) == 1
			? add_base64url(&thumbprint, digest, len)
			: -ENOMEM;
	if (!error)
		yyjson_mut_obj_add_strncpy(doc, root, "x5t#S256", buf_slice(&thumbprint).data,
			buf_len(&thumbprint));
	buf_free(&thumbprint);
	if (error) {
		yyjson_mut_doc_free(doc);
		return error;
	}
	return add_json(out, doc);
}

static int add_claims(struct buf *out, const struct assertion_claims *claims)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	unsigned char random[16];
	char id[2 * sizeof(random) + 1];

	if (RAND_bytes(random, sizeof(random)) != 1) {
		yyjson_mut_doc_free(doc);
		return -EIO;
	}
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "aud", claims->audience);
	yyjson_mut_obj_add_str(doc, root, "iss", claims->client);
	yyjson_mut_obj_add_str(doc, root, "sub", claims->client);
	yyjson_mut_obj_add_strcpy(doc, root, "jti", id);
	yyjson_mut_obj_add_uint(doc, root, "nbf", claims->now_s);
	yyjson_mut_obj_add_uint(doc, root, "exp", claims->now_s + LIFE_S);
	return add_json(out, doc);
}

static int sign(EVP_PKEY *key, struct slice text, unsigned char *signature, size_t *len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters = NULL;
	int good = context &&
		   EVP_DigestSignInit(context, &parameters, EVP_sha256(), NULL, key) == 1 &&
		   EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
		   EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		   EVP_DigestSign(context, signature, len, (const unsigned char *)text.data,
			   text.len) == 1;

	EVP_MD_CTX_free(context);
	return good ? 0 : -EIO;
}

int assertion_make(struct slice pem, const struct assertion_claims *claims, struct buf *jwt,
	struct why *why)
{
	unsigned char signature[1024]; /* of 8192 bits */
	size_t len = sizeof(signature), begin = buf_len(jwt);
	struct identity identity;
	int error = identity_read(pem, &identity, why);

	if (error)
		return error;
	error = add_header(jwt, identity.certificate);
	if (!error)
		error = buf_append(jwt, ".", 1);
	if (!error)
		error = add_claims(jwt, claims);
	if (!error)
		error = sign(identity.key, slice_after(buf_slice(jwt), begin), signature, &len);
	if (!error)
		error = buf_append(jwt, ".", 1);
	if (!error)
		error = add_base64url(jwt, signature, len);
	identity_free(&identity);
	return error ? why_set(why, -error, "the proof of the certificate's key cannot be made") : 0;
}
