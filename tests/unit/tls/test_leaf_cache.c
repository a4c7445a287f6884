// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/forge.h"
#include "tls/ca.h"
#include "tls/leaf.h"

#define DAY_NS	 (86400 * NS_PER_S)
#define MESSAGES 16

/* A cache, and a signer that answers when it is told to. */
struct scene {
	struct config config;
	struct config_host hosts[2];
	struct ca *ca;
	EVP_PKEY *keys[LEAF_KINDS];
	struct leaf_cache *cache;
	struct buf requests[MESSAGES];
	size_t nrequests;
	bool full; /* the signer's socket */
	uint64_t now;
	/* what done heard */
	unsigned leaves, failures;
	char error[256];
	struct leaf *last;
	void (*then)(struct scene *scene);
	uint64_t ticket;
};

static int scene_send(void *context, const void *message, size_t len)
{
	struct scene *scene = context;

	if (scene->full)
		return -EAGAIN;
	assert_true(scene->nrequests < MESSAGES);
	assert_true(len <= LEAF_MESSAGE_MAX);
	assert_int_equal(buf_append(&scene->requests[scene->nrequests++], message, len), 0);
	return 0;
}

static void scene_done(void *context, struct leaf *leaf, const char *error)
{
	struct scene *scene = context;

	if (leaf) {
		scene->leaves++;
		leaf_release(scene->last);
		scene->last = leaf_ref(leaf);
		assert_null(error);
	} else {
		scene->failures++;
		snprintf(scene->error, sizeof(scene->error), "%s", error);
	}
	if (scene->then)
		scene->then(scene);
}

/* The signer answers its n-th request. */
static void scene_answer(struct scene *scene, size_t n)
{
	struct buf reply = BUF_EMPTY;

	assert_true(n < scene->nrequests);
	assert_true(leaf_answer(scene->ca, scene->keys, &scene->config,
			    buf_slice(&scene->requests[n]), scene->now, &reply) >= 0);
	assert_int_equal(
		leaf_cache_reply(scene->cache, buf_slice(&reply).data, buf_len(&reply)), 0);
	buf_free(&reply);
}

static int get(struct scene *scene, const char *host, uint64_t *ticket)
{
	return leaf_cache_get(scene->cache, host, scene->now, scene_done, scene, ticket);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct ca_options options = {.name = "Test CA", .days = 365};
	static char exact[] = "api.openai.com", pattern[] = "*.openai.azure.com";

	scene->now = clock_realtime_ns();
	scene->hosts[0].pattern = exact;
	scene->hosts[1].pattern = pattern;
	scene->config.hosts = scene->hosts;
	scene->config.nhosts = 2;
	scene->config.tls.leaf_validity_ns = 30 * DAY_NS;
	scene->config.tls.leaf_cache = 3;
	assert_int_equal(ca_make(&options, scene->now, &scene->ca, NULL), 0);
	scene->keys[LEAF_ECDSA] = forge_key(NULL);
	scene->keys[LEAF_RSA] = forge_key("RSA-2048");
	scene->cache = leaf_cache_new(&scene->config, LEAF_ECDSA, scene_send, scene);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	leaf_cache_free(scene->cache);
	leaf_release(scene->last);
	for (size_t i = 0; i < MESSAGES; i++)
		buf_free(&scene->requests[i]);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		EVP_PKEY_free(scene->keys[kind]);
	ca_free(scene->ca);
	free(scene);
	return 0;
}

static void one_minting_serves_all_who_wait(void **state)
{
	struct scene *scene = *state;
	uint64_t a, b;

	assert_int_equal(get(scene, "api.openai.com", &a), 0);
	assert_int_equal(get(scene, "API.openai.com", &b), 0);
	assert_true(a && b && a != b);
	assert_int_equal(scene->nrequests, 1);
	assert_int_equal(scene->leaves, 0);
	scene_answer(scene, 0);
	assert_int_equal(scene->leaves, 2);
	assert_string_equal(scene->last->host, "api.openai.com");
	assert_int_equal(sk_X509_num(scene->last->chain), 0);

	assert_int_equal(get(scene, "api.openai.com", &a), 1);
	assert_int_equal(a, 0);
	assert_int_equal(scene->leaves, 3);
	assert_int_equal(scene->nrequests, 1);
}

static void who_cancelled_hears_nothing(void **state)
{
	struct scene *scene = *state;
	uint64_t a, b;

	get(scene, "api.openai.com", &a);
	get(scene, "api.openai.com", &b);
	leaf_cache_cancel(scene->cache, a);
	leaf_cache_cancel(scene->cache, a);
	leaf_cache_cancel(scene->cache, 0);
	scene_answer(scene, 0);
	assert_int_equal(scene->leaves, 1);
}

static void a_host_that_is_not_listed_is_refused_by_the_signer(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	assert_int_equal(get(scene, "example.com", &ticket), 0);
	scene_answer(scene, 0);
	assert_int_equal(scene->failures, 1);
	assert_non_null(strstr(scene->error, "example.com is not a host of the configuration"));
	assert_int_equal(leaf_cache_count(scene->cache), 0);
	/* A failure is not remembered. */
	assert_int_equal(get(scene, "example.com", &ticket), 0);
	assert_int_equal(scene->nrequests, 2);
	assert_int_equal(get(scene, "no host name", &ticket), -EINVAL);
}

static void the_signer_refuses_what_is_no_request(void **state)
{
	struct scene *scene = *state;
	static const char nul[] = "12345678\0\0\0\0\0\0\0\0api.openai.com\0.evil",
			  splice[] = "12345678\0\0\0\0\0\0\0\0a,DNS:b",
			  kind[] = "12345678\2\0\0\0\0\0\0\0api.openai.com";
	struct buf reply = BUF_EMPTY;

	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config, SLICE("1234567"),
				 scene->now, &reply),
		-EBADMSG);
	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config, SLICE("1234567890123456"),
				 scene->now, &reply),
		-EBADMSG);
	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config,
				 slice_of(nul, sizeof(nul) - 1), scene->now, &reply),
		0);
	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config,
				 slice_of(splice, sizeof(splice) - 1), scene->now, &reply),
		0);
	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config,
				 slice_of(kind, sizeof(kind) - 1), scene->now, &reply),
		-EBADMSG);
	buf_free(&reply);
}

static void a_new_signer_is_asked_again(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	get(scene, "api.openai.com", &ticket);
	get(scene, "a.openai.azure.com", &ticket);
	assert_int_equal(scene->nrequests, 2);
	leaf_cache_resend(scene->cache, false);
	assert_int_equal(scene->nrequests, 2);
	leaf_cache_resend(scene->cache, true);
	assert_int_equal(scene->nrequests, 4);
	scene_answer(scene, 3);
	scene_answer(scene, 2);
	assert_int_equal(scene->leaves, 2);
	/* The old one's answer comes after all. */
	scene_answer(scene, 0);
	assert_int_equal(scene->leaves, 2);
	assert_int_equal(leaf_cache_waiting(scene->cache), 0);
}

static void a_full_socket_delays_but_loses_nothing(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	get(scene, "api.openai.com", &ticket);
	scene->full = true;
	get(scene, "a.openai.azure.com", &ticket);
	assert_int_equal(scene->nrequests, 1);
	scene->full = false;
	scene_answer(scene, 0);
	assert_int_equal(scene->nrequests, 2);
	scene_answer(scene, 1);
	assert_int_equal(scene->leaves, 2);
}

static void the_least_recently_used_leaf_goes_first(void **state)
{
	static const char *const hosts[] = {
		"a.openai.azure.com", "b.openai.azure.com", "c.openai.azure.com"};
	struct scene *scene = *state;
	uint64_t ticket;

	for (size_t i = 0; i < 3; i++) {
		get(scene, hosts[i], &ticket);
		scene_answer(scene, i);
	}
	assert_int_equal(get(scene, hosts[0], &ticket), 1);
	get(scene, "d.openai.azure.com", &ticket);
	scene_answer(scene, 3);
	assert_int_equal(leaf_cache_count(scene->cache), 3);
	assert_int_equal(get(scene, hosts[0], &ticket), 1);
	assert_int_equal(get(scene, hosts[1], &ticket), 0);
}

static void a_leaf_is_renewed_before_its_end_while_it_serves(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket, first_end;

	get(scene, "api.openai.com", &ticket);
	scene_answer(scene, 0);
	first_end = scene->last->not_after_ns;

	scene->now += 21 * DAY_NS;
	assert_int_equal(get(scene, "api.openai.com", &ticket), 1);
	assert_int_equal(scene->nrequests, 2);
	assert_int_equal(get(scene, "api.openai.com", &ticket), 1);
	assert_int_equal(scene->nrequests, 2);
	assert_int_equal(scene->last->not_after_ns, first_end);
	scene_answer(scene, 1);
	assert_int_equal(leaf_cache_count(scene->cache), 1);
	assert_int_equal(get(scene, "api.openai.com", &ticket), 1);
	assert_true(scene->last->not_after_ns > first_end);
	assert_int_equal(scene->nrequests, 2);
}

static void an_ended_leaf_is_waited_for(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	get(scene, "api.openai.com", &ticket);
	scene_answer(scene, 0);
	scene->now = scene->last->not_after_ns - 60 * NS_PER_S;
	assert_int_equal(get(scene, "api.openai.com", &ticket), 0);
	scene_answer(scene, 1);
	assert_int_equal(scene->leaves, 2);
	assert_true(scene->last->not_after_ns > scene->now);
}

static void near_the_cas_end_a_renewal_is_not_asked_all_the_time(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	scene->now += 360 * DAY_NS;
	get(scene, "api.openai.com", &ticket);
	scene_answer(scene, 0);
	scene->now += 3 * DAY_NS; /* two are left, of the five that there were */
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(scene, "api.openai.com", &ticket), 1);
	assert_int_equal(scene->nrequests, 2);
	scene_answer(scene, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(scene, "api.openai.com", &ticket), 1);
	assert_int_equal(scene->nrequests, 2);
}

static void cancel_the_other_and_ask_anew(struct scene *scene)
{
	uint64_t ticket;

	scene->then = NULL;
	leaf_cache_cancel(scene->cache, scene->ticket);
	get(scene, "example.com", &ticket);
	get(scene, "b.openai.azure.com", &ticket);
}

static void a_callback_may_use_the_cache(void **state)
{
	struct scene *scene = *state;
	uint64_t ticket;

	get(scene, "example.com", &ticket);
	get(scene, "example.com", &scene->ticket);
	scene->then = cancel_the_other_and_ask_anew;
	scene_answer(scene, 0);
	assert_int_equal(scene->failures, 1);
	assert_int_equal(scene->nrequests, 3);
	assert_int_equal(leaf_cache_waiting(scene->cache), 2);
	scene_answer(scene, 1);
	scene_answer(scene, 2);
	assert_int_equal(scene->failures, 2);
	assert_int_equal(scene->leaves, 1);
}

static void replies_that_lie_are_failures(void **state)
{
	struct scene *scene = *state;
	struct buf reply = BUF_EMPTY;
	uint64_t ticket;

	assert_int_equal(leaf_cache_reply(scene->cache, "short", 5), -EBADMSG);
	get(scene, "api.openai.com", &ticket);
	assert_int_equal(leaf_answer(scene->ca, scene->keys, &scene->config,
				 buf_slice(&scene->requests[0]), scene->now, &reply),
		1);
	assert_int_equal(
		leaf_cache_reply(scene->cache, buf_slice(&reply).data, buf_len(&reply) - 1), 0);
	assert_int_equal(scene->failures, 1);
	/* A leaf of another name than the one asked for. */
	get(scene, "a.openai.azure.com", &ticket);
	memcpy(reply.memory + reply.start, buf_slice(&scene->requests[1]).data, 8);
	assert_int_equal(
		leaf_cache_reply(scene->cache, buf_slice(&reply).data, buf_len(&reply)), 0);
	assert_int_equal(scene->failures, 2);
	assert_int_equal(leaf_cache_count(scene->cache), 0);
	buf_free(&reply);
}

static void an_intermediate_is_sent_along_and_the_root_is_not(void **state)
{
	struct scene *scene = *state;
	struct forged root = forge(&(struct forge){.authority = true, .name = "root"}, NULL);
	struct forged middle = forge(&(struct forge){.authority = true, .name = "issuing"}, &root);
	uint64_t ticket;

	X509_free(scene->ca->certificate);
	EVP_PKEY_free(scene->ca->key);
	scene->ca->certificate = middle.certificate;
	scene->ca->key = middle.key;
	sk_X509_push(scene->ca->chain, root.certificate);
	get(scene, "api.openai.com", &ticket);
	scene_answer(scene, 0);
	assert_int_equal(sk_X509_num(scene->last->chain), 1);
	assert_int_equal(X509_cmp(sk_X509_value(scene->last->chain, 0), middle.certificate), 0);
	EVP_PKEY_free(root.key);
}

static void too_many_hosts_wait(void **state)
{
	struct scene *scene = *state;
	char host[64];
	uint64_t ticket;

	scene->full = true;
	for (int i = 0; i < 1024; i++) {
		snprintf(host, sizeof(host), "h%d.openai.azure.com", i);
		assert_int_equal(get(scene, host, &ticket), 0);
	}
	assert_int_equal(get(scene, "one-more.openai.azure.com", &ticket), -EBUSY);
	assert_int_equal(get(scene, "h7.openai.azure.com", &ticket), 0);
	assert_int_equal(leaf_cache_waiting(scene->cache), 1024);
}

/* Both kinds of one host, each from its own cache. */
static void an_rsa_leaf_is_another_leaf(void **state)
{
	struct scene *scene = *state;
	struct leaf_cache *ecdsa = scene->cache;
	struct leaf_cache *rsa = leaf_cache_new(&scene->config, LEAF_RSA, scene_send, scene);
	uint64_t ticket;

	assert_int_equal(get(scene, "api.openai.com", &ticket), 0);
	scene_answer(scene, 0);
	assert_int_equal(scene->last->kind, LEAF_ECDSA);
	assert_true(EVP_PKEY_is_a(X509_get0_pubkey(scene->last->certificate), "EC"));
	scene->cache = rsa;
	assert_int_equal(get(scene, "api.openai.com", &ticket), 0);
	scene_answer(scene, 1);
	assert_int_equal(scene->last->kind, LEAF_RSA);
	assert_true(EVP_PKEY_is_a(X509_get0_pubkey(scene->last->certificate), "RSA"));
	assert_int_equal(leaf_cache_count(ecdsa), 1);
	/* Names for which nobody else comes take no room of the others. */
	for (int i = 0; i < 8; i++) {
		char host[64];

		snprintf(host, sizeof(host), "h%d.openai.azure.com", i);
		assert_int_equal(get(scene, host, &ticket), 0);
		scene_answer(scene, scene->nrequests - 1);
	}
	assert_int_equal(leaf_cache_count(rsa), 1);
	assert_int_equal(leaf_cache_count(ecdsa), 1);
	scene->cache = ecdsa;
	leaf_cache_free(rsa);
}

static void replies_find_their_cache(void **state)
{
	struct scene *scene = *state;
	struct leaf_cache *rsa = leaf_cache_new(&scene->config, LEAF_RSA, scene_send, scene);
	struct buf reply = BUF_EMPTY;
	uint64_t ticket;

	assert_int_equal(leaf_cache_get(rsa, "api.openai.com", scene->now, scene_done, scene,
				 &ticket),
		0);
	leaf_answer(scene->ca, scene->keys, &scene->config, buf_slice(&scene->requests[0]),
		scene->now, &reply);
	assert_int_equal(leaf_reply_kind(buf_slice(&reply).data, buf_len(&reply)), LEAF_RSA);
	assert_int_equal(leaf_reply_kind(buf_slice(&reply).data, 3), -EBADMSG);
	buf_free(&reply);
	leaf_cache_free(rsa);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(one_minting_serves_all_who_wait),
		ROW(who_cancelled_hears_nothing),
		ROW(a_host_that_is_not_listed_is_refused_by_the_signer),
		ROW(the_signer_refuses_what_is_no_request),
		ROW(a_new_signer_is_asked_again),
		ROW(a_full_socket_delays_but_loses_nothing),
		ROW(the_least_recently_used_leaf_goes_first),
		ROW(a_leaf_is_renewed_before_its_end_while_it_serves),
		ROW(an_ended_leaf_is_waited_for),
		ROW(near_the_cas_end_a_renewal_is_not_asked_all_the_time),
		ROW(a_callback_may_use_the_cache),
		ROW(replies_that_lie_are_failures),
		ROW(an_intermediate_is_sent_along_and_the_root_is_not),
		ROW(too_many_hosts_wait),
		ROW(an_rsa_leaf_is_another_leaf),
		ROW(replies_find_their_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
