// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/leaf.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/list.h"
#include "tls/certificate.h"
#include "tls/leaf_message.h"

#define WAITING_MAX	 1024u		   /* hosts without an answer of the signer */
#define RSA_SHARE	 8u		   /* what is for few clients has an eighth of the room */
#define LAST_MOMENT_NS	 (300 * NS_PER_S)  /* a leaf that ends so soon is not used any more */
#define RENEW_PAUSE_NS	 (3600 * NS_PER_S) /* between two attempts to renew one */
#define CERTIFICATES_MAX 8

/* A host: with a leaf, or waiting for one, or both when it is being renewed. The trees are
 * balanced (tsearch), so that names chosen by a client cannot make them slow. */
struct leaf_entry {
	char host[HOST_NAME_SIZE];
	struct leaf *leaf;
	struct list recent;  /* in cache->recent when there is a leaf */
	struct list pending; /* in cache->pending when id is not 0 */
	struct list waiters;
	uint64_t id;
	uint64_t renew_ns; /* not asked again before that */
	bool sent;
};

struct leaf_waiter {
	uint64_t ticket;
	struct list node;
	leaf_done *done;
	void *context;
};

struct leaf_cache {
	int (*send)(void *context, const void *message, size_t len);
	void *context;
	void *entries;	     /* tree by host */
	void *waiters;	     /* tree by ticket */
	struct list recent;  /* the most recently used first */
	struct list pending; /* in the order of the requests */
	size_t nleaves, leaves_max, npending, pending_max;
	enum leaf_kind kind;
	uint64_t last_id;
};

struct leaf *leaf_ref(struct leaf *leaf)
{
	leaf->references++;
	return leaf;
}

void leaf_release(struct leaf *leaf)
{
	if (!leaf || --leaf->references)
		return;
	X509_free(leaf->certificate);
	sk_X509_pop_free(leaf->chain, X509_free);
	free(leaf);
}

static int entry_compare(const void *a, const void *b)
{
	const struct leaf_entry *x = a, *y = b;

	return strcmp(x->host, y->host);
}

static int waiter_compare(const void *a, const void *b)
{
	const struct leaf_waiter *x = a, *y = b;

	return x->ticket < y->ticket ? -1 : x->ticket > y->ticket;
}

struct leaf_cache *leaf_cache_new(const struct config *config, enum leaf_kind kind,
	int (*send)(void *context, const void *message, size_t len), void *context)
{
	struct leaf_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->send = send;
	cache->context = context;
	cache->kind = kind;
	cache->leaves_max = config->tls.leaf_cache / (kind == LEAF_RSA ? RSA_SHARE : 1);
	if (!cache->leaves_max)
		cache->leaves_max = 1;
	cache->pending_max = WAITING_MAX / (kind == LEAF_RSA ? RSA_SHARE : 1);
	list_init(&cache->recent);
	list_init(&cache->pending);
	return cache;
}

static void entry_free(void *freed)
{
	struct leaf_entry *entry = freed;

	leaf_release(entry->leaf);
	free(entry);
}

void leaf_cache_free(struct leaf_cache *cache)
{
	if (!cache)
		return;
	tdestroy(cache->waiters, free);
	tdestroy(cache->entries, entry_free);
	free(cache);
}

size_t leaf_cache_count(const struct leaf_cache *cache)
{
	return cache->nleaves;
}

size_t leaf_cache_waiting(const struct leaf_cache *cache)
{
	return cache->npending;
}

static struct leaf_entry *cache_find(struct leaf_cache *cache, const char *host)
{
	struct leaf_entry key, **found;

	memcpy(key.host, host, strlen(host) + 1);
	found = tfind(&key, &cache->entries, entry_compare);
	return found ? *found : NULL;
}

static struct leaf_entry *cache_add(struct leaf_cache *cache, const char *host)
{
	struct leaf_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	memcpy(entry->host, host, strlen(host) + 1);
	list_init(&entry->recent);
	list_init(&entry->pending);
	list_init(&entry->waiters);
	if (tsearch(entry, &cache->entries, entry_compare))
		return entry;
	free(entry);
	return NULL;
}

static void cache_drop_if_empty(struct leaf_cache *cache, struct leaf_entry *entry)
{
	if (entry->leaf || entry->id)
		return;
	tdelete(entry, &cache->entries, entry_compare);
	entry_free(entry);
}

static void cache_take_leaf(struct leaf_cache *cache, struct leaf_entry *entry)
{
	leaf_release(entry->leaf);
	entry->leaf = NULL;
	list_remove(&entry->recent);
	cache->nleaves--;
}

static void cache_put_leaf(struct leaf_cache *cache, struct leaf_entry *entry, struct leaf *leaf)
{
	if (entry->leaf)
		cache_take_leaf(cache, entry);
	entry->leaf = leaf;
	list_insert_after(&cache->recent, &entry->recent);
	cache->nleaves++;
	while (cache->nleaves > cache->leaves_max) {
		struct leaf_entry *oldest =
			list_entry(cache->recent.prev, struct leaf_entry, recent);

		cache_take_leaf(cache, oldest);
		cache_drop_if_empty(cache, oldest);
	}
}

/* ---- requests ---- */

static bool entry_send(struct leaf_cache *cache, struct leaf_entry *entry)
{
	char message[sizeof(struct leaf_request) + HOST_NAME_SIZE];
	struct leaf_request head = {.id = entry->id, .kind = cache->kind};
	size_t len = strlen(entry->host);

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), entry->host, len);
	entry->sent = !cache->send(cache->context, message, sizeof(head) + len);
	return entry->sent;
}

void leaf_cache_resend(struct leaf_cache *cache, bool new_signer)
{
	if (new_signer)
		list_for_each (node, &cache->pending)
			list_entry(node, struct leaf_entry, pending)->sent = false;
	list_for_each (node, &cache->pending) {
		struct leaf_entry *entry = list_entry(node, struct leaf_entry, pending);

		if (!entry->sent && !entry_send(cache, entry))
			break;
	}
}

static bool cache_ask(struct leaf_cache *cache, struct leaf_entry *entry, uint64_t now)
{
	if (entry->id)
		return true;
	if (cache->npending >= cache->pending_max)
		return false;
	entry->id = ++cache->last_id;
	entry->sent = false;
	entry->renew_ns = now + RENEW_PAUSE_NS;
	list_append(&cache->pending, &entry->pending);
	cache->npending++;
	entry_send(cache, entry);
	return true;
}

static int cache_wait(struct leaf_cache *cache, struct leaf_entry *entry, leaf_done *done,
	void *context, uint64_t *ticket)
{
	struct leaf_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return -ENOMEM;
	*waiter =
		(struct leaf_waiter){.ticket = ++cache->last_id, .done = done, .context = context};
	if (!tsearch(waiter, &cache->waiters, waiter_compare)) {
		free(waiter);
		return -ENOMEM;
	}
	list_append(&entry->waiters, &waiter->node);
	*ticket = waiter->ticket;
	return 0;
}

int leaf_cache_get(struct leaf_cache *cache, const char *host, uint64_t realtime_ns,
	leaf_done *done, void *context, uint64_t *ticket)
{
	char name[HOST_NAME_SIZE];
	struct leaf_entry *entry;
	struct leaf *leaf;
	int error;

	*ticket = 0;
	if (!host_name_read(slice_of_string(host), name))
		return -EINVAL;
	entry = cache_find(cache, name);
	leaf = entry ? entry->leaf : NULL;
	if (leaf && realtime_ns + LAST_MOMENT_NS < leaf->not_after_ns &&
		realtime_ns >= leaf->not_before_ns) {
		uint64_t third = (leaf->not_after_ns - leaf->not_before_ns) / 3;

		list_remove(&entry->recent);
		list_insert_after(&cache->recent, &entry->recent);
		if (realtime_ns > leaf->not_after_ns - third && realtime_ns >= entry->renew_ns)
			cache_ask(cache, entry, realtime_ns);
		leaf_ref(leaf);
		done(context, leaf, NULL);
		leaf_release(leaf);
		return 1;
	}
	if (!entry)
		entry = cache_add(cache, name);
	if (!entry)
		return -ENOMEM;
	error = cache_ask(cache, entry, realtime_ns)
			? cache_wait(cache, entry, done, context, ticket)
			: -EBUSY;
	cache_drop_if_empty(cache, entry);
	return error;
}

static void waiter_free(struct leaf_cache *cache, struct leaf_waiter *waiter)
{
	tdelete(waiter, &cache->waiters, waiter_compare);
	list_remove(&waiter->node);
	free(waiter);
}

void leaf_cache_cancel(struct leaf_cache *cache, uint64_t ticket)
{
	struct leaf_waiter key = {.ticket = ticket};
	struct leaf_waiter **found = tfind(&key, &cache->waiters, waiter_compare);

	/* The minting goes on: who cancelled will most likely come again. */
	if (found)
		waiter_free(cache, *found);
}

/* ---- replies ---- */

static bool leaf_take_certificate(struct slice *rest, X509 **certificate)
{
	const unsigned char *at;
	uint32_t len;

	*certificate = NULL;
	if (rest->len < sizeof(len))
		return false;
	memcpy(&len, rest->data, sizeof(len));
	*rest = slice_after(*rest, sizeof(len));
	if (len > rest->len)
		return false;
	at = (const unsigned char *)rest->data;
	*certificate = d2i_X509(NULL, &at, (long)len);
	if (!*certificate || at != (const unsigned char *)rest->data + len)
		return false;
	*rest = slice_after(*rest, len);
	return true;
}

static struct leaf *leaf_read(const char *host, struct slice certificates)
{
	struct leaf *leaf = calloc(1, sizeof(*leaf));
	X509 *certificate = NULL;

	if (!leaf)
		return NULL;
	leaf->references = 1;
	memcpy(leaf->host, host, strlen(host) + 1);
	SHA256((const unsigned char *)host, strlen(host), leaf->context);
	leaf->chain = sk_X509_new_null();
	if (!leaf->chain || !leaf_take_certificate(&certificates, &leaf->certificate) ||
		X509_check_host(leaf->certificate, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
			NULL) != 1 ||
		!certificate_time(X509_get0_notBefore(leaf->certificate), &leaf->not_before_ns) ||
		!certificate_time(X509_get0_notAfter(leaf->certificate), &leaf->not_after_ns))
		goto failed;
	while (certificates.len) {
		if (sk_X509_num(leaf->chain) >= CERTIFICATES_MAX ||
			!leaf_take_certificate(&certificates, &certificate) ||
			!sk_X509_push(leaf->chain, certificate))
			goto failed;
		certificate = NULL;
	}
	return leaf;
failed:
	ERR_clear_error();
	X509_free(certificate);
	leaf_release(leaf);
	return NULL;
}

static struct leaf_entry *cache_find_pending(struct leaf_cache *cache, uint64_t id)
{
	/* Answers come in the order of the requests: this ends at the first one. */
	list_for_each (node, &cache->pending) {
		struct leaf_entry *entry = list_entry(node, struct leaf_entry, pending);

		if (entry->id == id)
			return entry;
	}
	return NULL;
}

int leaf_reply_kind(const void *message, size_t len)
{
	struct leaf_reply head;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, message, sizeof(head));
	return head.kind < LEAF_KINDS ? (int)head.kind : -EBADMSG;
}

int leaf_cache_reply(struct leaf_cache *cache, const void *message, size_t len)
{
	struct slice rest = slice_of(message, len);
	struct leaf_entry *entry;
	struct leaf_reply head;
	struct leaf *leaf = NULL;
	struct list told;
	char error[256];

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, message, sizeof(head));
	rest = slice_first(slice_after(rest, sizeof(head)), head.error ? sizeof(error) - 1 : len);
	entry = cache_find_pending(cache, head.id);
	if (!entry)
		return 0; /* asked of two signers, and both answered */

	strcpy(error, "the signer's answer cannot be read");
	if (!head.error) {
		leaf = leaf_read(entry->host, rest);
		if (leaf)
			leaf->kind = cache->kind;
	} else if (rest.len) {
		memcpy(error, rest.data, rest.len);
		error[rest.len] = '\0';
	}
	list_remove(&entry->pending);
	cache->npending--;
	entry->id = 0;
	/* Callbacks may cancel any waiter and ask for any host, this one included: from here on
	 * the waiters hang in a list of our own, and the entry is not touched any more. */
	list_insert_after(&entry->waiters, &told);
	list_remove(&entry->waiters);
	if (leaf)
		cache_put_leaf(cache, entry, leaf_ref(leaf));
	else
		cache_drop_if_empty(cache, entry);
	while (!list_empty(&told)) {
		struct leaf_waiter *waiter = list_entry(told.next, struct leaf_waiter, node);
		leaf_done *done = waiter->done;
		void *context = waiter->context;

		waiter_free(cache, waiter);
		done(context, leaf, leaf ? NULL : error);
	}
	leaf_release(leaf);
	leaf_cache_resend(cache, false);
	return 0;
}
