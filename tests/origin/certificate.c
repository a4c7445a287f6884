// SPDX-License-Identifier: GPL-2.0-or-later
#include "certificate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

struct entry {
	struct entry *next;
	char *name;
	SSL_CTX *context;
};

struct certificates {
	const char *directory;
	int tls_max;
	struct entry *entries;
	SSL_CTX *first; /* of default.pem: accepts, and keeps the tickets' keys */
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
	const unsigned char *in, unsigned int inlen, void *context)
{
	static const unsigned char http1[] = "\x08http/1.1";

	(void)ssl;
	(void)context;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, outlen, http1,
		    sizeof(http1) - 1, in, inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(const struct certificates *c, const char *name)
{
	char path[PATH_MAX];
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	snprintf(path, sizeof(path), "%s/%s.pem", c->directory, name);
	if (!context)
		return NULL;
	/* Tests bring weak certificates on purpose: it is the other side that must refuse them. */
	SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0");
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_max_proto_version(context, c->tls_max);
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"origin", 6);
	SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
	if (SSL_CTX_use_certificate_chain_file(context, path) == 1 &&
		SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1)
		return context;
	ERR_clear_error();
	SSL_CTX_free(context);
	return NULL;
}

/* NULL for a name without a file of its own, which is remembered only when found. */
static SSL_CTX *context_of(struct certificates *c, const char *name)
{
	struct entry *entry;
	SSL_CTX *context;

	for (entry = c->entries; entry; entry = entry->next)
		if (strcmp(entry->name, name) == 0)
			return entry->context;
	if (!name[0] || strchr(name, '/') || !(context = context_new(c, name)))
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (entry)
		entry->name = strdup(name);
	if (!entry || !entry->name) {
		free(entry);
		SSL_CTX_free(context);
		return NULL;
	}
	entry->context = context;
	entry->next = c->entries;
	c->entries = entry;
	return context;
}

static int choose_certificate(SSL *ssl, int *alert, void *certificates)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *context = name ? context_of(certificates, name) : NULL;

	(void)alert;
	if (context)
		SSL_set_SSL_CTX(ssl, context);
	return name ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

struct certificates *certificates_open(const char *directory, int tls_max)
{
	struct certificates *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->directory = directory;
	c->tls_max = tls_max;
	c->first = context_of(c, "default");
	if (!c->first) {
		fprintf(stderr, "origin: %s/default.pem: no certificate and key there\n",
			directory);
		free(c);
		return NULL;
	}
	SSL_CTX_set_tlsext_servername_callback(c->first, choose_certificate);
	SSL_CTX_set_tlsext_servername_arg(c->first, c);
	return c;
}

SSL *certificates_accept(struct certificates *c, int fd)
{
	SSL *ssl = SSL_new(c->first);

	if (ssl && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

void certificates_close(struct certificates *c)
{
	if (!c)
		return;
	while (c->entries) {
		struct entry *entry = c->entries;

		c->entries = entry->next;
		SSL_CTX_free(entry->context);
		free(entry->name);
		free(entry);
	}
	free(c);
}
