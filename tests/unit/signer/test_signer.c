// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "supervise/role.h"
#include "tests/support/forge.h"
#include "tls/leaf.h"
#include "tls/pem.h"

#define DAY_NS (86400 * NS_PER_S)

/* A signer with two listed hosts, in the loop of the test; its workers are ends of sockets. */
struct scene {
	struct role_context context; /* first: role_fd below finds the scene by it */
	struct config config;
	struct config_host hosts[2];
	int ca_key, ca_certificate;
	EVP_PKEY *keys[LEAF_KINDS]; /* of every worker that add_worker makes */
	_Atomic uint64_t counts[COUNTER_ROWS];
	struct counters counters;
	void *signer;
};

/* Stands for child.c, which has them from the parent. */
int role_fd(struct role_context *context, const char *name)
{
	struct scene *scene = (struct scene *)context;
	int *fd = !strcmp(name, "ca_key") ? &scene->ca_key : &scene->ca_certificate;
	int handed = *fd;

	*fd = -1;
	return handed;
}

static struct forge_file key_file(EVP_PKEY *key)
{
	struct buf pem = BUF_EMPTY;
	struct forge_file file;

	assert_int_equal(pem_write_key(key, &pem), 0);
	file = forge_file(buf_slice(&pem));
	buf_wipe(&pem);
	return file;
}

static struct scene *scene_new(const struct forge *wanted)
{
	static char exact[] = "api.openai.com", pattern[] = "*.openai.azure.com";
	struct scene *scene = calloc(1, sizeof(*scene));
	struct forged ca = forge(wanted, NULL);
	const X509 *certificates[] = {ca.certificate};

	scene->hosts[0].pattern = exact;
	scene->hosts[1].pattern = pattern;
	scene->config.hosts = scene->hosts;
	scene->config.nhosts = 2;
	scene->config.tls.leaf_validity_ns = 30 * DAY_NS;
	scene->config.tls.leaf_rate = 10000;
	scene->context.loop = ev_loop_new(0);
	scene->context.config = &scene->config;
	scene->ca_key = key_file(ca.key).fd;
	scene->ca_certificate = forge_certificates(certificates, 1).fd;
	assert_int_equal(leaf_keys_make(scene->keys, NULL), 0);
	scene->counters.own = scene->counts;
	scene->context.counters = &scene->counters;
	forged_free(&ca);
	return scene;
}

static void scene_free(struct scene *scene)
{
	if (scene->signer)
		signer_role.close(scene->signer);
	if (scene->ca_key >= 0)
		close(scene->ca_key);
	ev_loop_destroy(scene->context.loop);
	leaf_keys_free(scene->keys);
	free(scene);
}

static int set_up(void **state)
{
	struct scene *scene = scene_new(&(struct forge){.authority = true, .name = "CA"});
	struct why why = {""};

	if (signer_role.init(&scene->context, &scene->signer, &why))
		fail_msg("%s", why.text);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	scene_free(*state);
	return 0;
}

static int meet_worker(struct scene *scene, uint32_t number)
{
	struct control_peer peer = {.number = number};
	struct ipc_message message = {
		.type = CONTROL_PEER, .body = &peer, .len = sizeof(peer), .nfds = 1};
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	message.fds[0] = pair[1];
	signer_role.message(scene->signer, &message);
	assert_int_equal(message.fds[0], -1);
	return pair[0];
}

static void turn(struct scene *scene)
{
	for (int i = 0; i < 4; i++)
		ev_run(scene->context.loop, EVRUN_NOWAIT);
}

static void name_key(int worker, EVP_PKEY *const *keys, enum leaf_kind kind)
{
	struct buf message = BUF_EMPTY;

	assert_int_equal(leaf_key_write(keys, kind, &message), 0);
	assert_int_equal(
		ipc_send(worker, LEAF_KEY, message.memory, buf_len(&message), NULL, 0), 0);
	buf_free(&message);
}

static int add_worker(struct scene *scene, uint32_t number)
{
	int worker = meet_worker(scene, number);

	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		name_key(worker, scene->keys, kind);
	turn(scene);
	return worker;
}

static int ask_for(int worker, uint64_t id, uint64_t kind, const char *host)
{
	struct buf request = BUF_EMPTY;
	int error;

	buf_append(&request, &id, sizeof(id));
	buf_append(&request, &kind, sizeof(kind));
	buf_append(&request, host, strlen(host));
	error = ipc_send(worker, LEAF_REQUEST, request.memory, buf_len(&request), NULL, 0);
	buf_free(&request);
	return error;
}

static int ask(int worker, uint64_t id, const char *host)
{
	return ask_for(worker, id, LEAF_ECDSA, host);
}

/* Bytes of the next reply, whose first ones are the id; -EAGAIN: there is none. */
static int hear_message(int worker, uint64_t *id, bool *refused, struct ipc_message *heard)
{
	static _Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
	struct ipc_message message;
	int result = ipc_receive(worker, memory, sizeof(memory), &message);
	int32_t error;

	if (result != 1)
		return result ? result : -EPIPE;
	assert_int_equal(message.type, LEAF_REPLY);
	assert_true(message.len > 12);
	memcpy(id, message.body, sizeof(*id));
	memcpy(&error, (const char *)message.body + 8, sizeof(error));
	*refused = error != 0;
	*heard = message;
	return (int)message.len;
}

static int hear(int worker, uint64_t *id, bool *refused)
{
	struct ipc_message heard;

	return hear_message(worker, id, refused, &heard);
}

/* Asks for a leaf, and whether it is for that key. */
static bool leaf_is_for(
	struct scene *scene, int worker, EVP_PKEY *const *keys, enum leaf_kind kind)
{
	const size_t head = 20; /* of the reply, and the length of its first certificate */
	struct ipc_message heard;
	const unsigned char *at;
	X509 *leaf;
	uint64_t id;
	bool refused, is;

	assert_int_equal(ask_for(worker, 7, kind, "api.openai.com"), 0);
	turn(scene);
	assert_true(hear_message(worker, &id, &refused, &heard) > (int)head);
	assert_true(id == 7 && !refused);
	at = (const unsigned char *)heard.body + head;
	leaf = d2i_X509(NULL, &at, (long)(heard.len - head));
	assert_non_null(leaf);
	is = EVP_PKEY_eq(X509_get0_pubkey(leaf), keys[kind]) == 1;
	X509_free(leaf);
	return is;
}

static void a_leaf_is_for_the_key_of_its_worker(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *others[LEAF_KINDS];
	int one = add_worker(scene, 1), two = meet_worker(scene, 2);

	assert_int_equal(leaf_keys_make(others, NULL), 0);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		name_key(two, others, kind);
		assert_true(leaf_is_for(scene, two, others, kind));
		assert_true(leaf_is_for(scene, one, scene->keys, kind));
	}
	/* A successor in the same place has a socket and keys of its own. */
	close(one);
	one = meet_worker(scene, 1);
	name_key(one, others, LEAF_ECDSA);
	assert_true(leaf_is_for(scene, one, others, LEAF_ECDSA));
	assert_int_equal(scene->counts[COUNTER_SIGNER_KEY_REFUSED], 0);
	leaf_keys_free(others);
	close(one);
	close(two);
}

static void a_second_key_is_refused_and_counted(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *others[LEAF_KINDS];
	int worker = add_worker(scene, 1);

	assert_int_equal(leaf_keys_make(others, NULL), 0);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		name_key(worker, others, kind);
		/* The one that it has may be said again. */
		name_key(worker, scene->keys, kind);
		turn(scene);
		assert_int_equal(
			scene->counts[COUNTER_SIGNER_KEY_REFUSED], kind + 1);
		assert_true(leaf_is_for(scene, worker, scene->keys, kind));
	}
	assert_int_equal(scene->counts[COUNTER_SIGNER_REFUSED], 0);
	leaf_keys_free(others);
	close(worker);
}

/* Whatever it sends, a worker that sends too much is not heard for a while. */
static void a_flood_of_any_kind_is_limited_and_told(void **state)
{
	static const char *const floods[] = {"keys that are refused", "keys that are there",
		"no keys", "hosts that are refused", "junk", "no message"};
	static _Alignas(max_align_t) char memory[1024];
	struct scene *scene = *state;
	EVP_PKEY *others[LEAF_KINDS];
	struct ipc_message message;
	int parent[2];

	assert_int_equal(ipc_pair(parent), 0);
	scene->context.control = parent[0];
	scene->config.tls.leaf_rate = 1;
	assert_int_equal(leaf_keys_make(others, NULL), 0);
	for (unsigned flood = 0; flood < sizeof(floods) / sizeof(*floods); flood++) {
		uint64_t refused = scene->counts[COUNTER_SIGNER_KEY_REFUSED] +
				   scene->counts[COUNTER_SIGNER_REFUSED],
			 id;
		int worker = add_worker(scene, 10 + flood);
		bool suspected = false, limited = false, no;

		for (unsigned i = 0; i < 100; i++) {
			if (flood < 2)
				name_key(worker, flood ? scene->keys : others, LEAF_ECDSA);
			else if (flood == 2)
				ipc_send(worker, LEAF_KEY, "no key", 6, NULL, 0);
			else if (flood == 3)
				ask(worker, i, "example.com");
			else if (flood == 4)
				ipc_send(worker, 99, "junk", 4, NULL, 0);
			else
				assert_int_equal(write(worker, "y", 1), 1);
			turn(scene);
			(void)hear(worker, &id, &no);
		}
		refused = scene->counts[COUNTER_SIGNER_KEY_REFUSED] +
			  scene->counts[COUNTER_SIGNER_REFUSED] - refused;
		if (flood != 1)
			assert_in_range(refused, 10, 50);
		/* Each is told once. */
		while (ipc_receive(parent[1], memory, sizeof(memory), &message) > 0) {
			const struct control_suspect *told = message.body;

			assert_int_equal(told->number, 10 + flood);
			if (message.type == CONTROL_SUSPECT) {
				assert_false(suspected);
				assert_non_null(strstr(told->problem, "leaf key"));
				suspected = true;
				continue;
			}
			assert_int_equal(message.type, CONTROL_LIMITED);
			assert_false(limited);
			limited = true;
		}
		assert_true(limited);
		assert_int_equal(suspected, flood == 0 || flood == 2);
		close(worker);
	}
	leaf_keys_free(others);
	close(parent[0]);
	close(parent[1]);
}

static void without_a_key_there_is_no_leaf(void **state)
{
	struct scene *scene = *state;
	int worker = meet_worker(scene, 1);
	uint64_t id;
	bool refused;

	assert_int_equal(ipc_send(worker, LEAF_KEY, "no key", 6, NULL, 0), 0);
	name_key(worker, scene->keys, LEAF_ECDSA);
	assert_int_equal(ask_for(worker, 1, LEAF_RSA, "api.openai.com"), 0);
	turn(scene);
	turn(scene);
	assert_true(hear(worker, &id, &refused) > 0);
	assert_true(id == 1 && refused);
	assert_int_equal(scene->counts[COUNTER_SIGNER_KEY_REFUSED], 1);
	assert_true(leaf_is_for(scene, worker, scene->keys, LEAF_ECDSA));
	close(worker);
}

static void listed_hosts_get_leaves_and_others_a_refusal(void **state)
{
	struct scene *scene = *state;
	int worker = add_worker(scene, 1);
	uint64_t id;
	bool refused;

	assert_int_equal(ask(worker, 7, "api.openai.com"), 0);
	assert_int_equal(ask(worker, 8, "example.com"), 0);
	assert_int_equal(ask(worker, 9, "x.openai.azure.com"), 0);
	turn(scene);
	assert_true(hear(worker, &id, &refused) > 0);
	assert_true(id == 7 && !refused);
	assert_true(hear(worker, &id, &refused) > 0);
	assert_true(id == 8 && refused);
	assert_true(hear(worker, &id, &refused) > 0);
	assert_true(id == 9 && !refused);
	close(worker);
}

static void what_is_no_request_gets_no_answer_and_harms_nobody(void **state)
{
	struct scene *scene = *state;
	int bad = add_worker(scene, 1), good = add_worker(scene, 2);
	char junk[2000] = {0};
	uint64_t id;
	bool refused;

	assert_int_equal(ipc_send(bad, LEAF_REQUEST, "x", 1, NULL, 0), 0);
	assert_int_equal(ipc_send(bad, 99, "api.openai.com", 14, NULL, 0), 0);
	assert_int_equal(ipc_send(bad, LEAF_REQUEST, junk, sizeof(junk), NULL, 0), 0);
	assert_int_equal(write(bad, "y", 1), 1);
	assert_int_equal(ask(good, 1, "api.openai.com"), 0);
	turn(scene);
	turn(scene);
	assert_int_equal(hear(bad, &id, &refused), -EAGAIN);
	assert_true(hear(good, &id, &refused) > 0);
	assert_int_equal(ask(bad, 5, "api.openai.com"), 0);
	turn(scene);
	assert_true(hear(bad, &id, &refused) > 0);
	assert_int_equal(id, 5);
	close(bad);
	close(good);
}

static void a_worker_that_asks_for_too_much_waits_alone(void **state)
{
	struct scene *scene = *state;
	int greedy, good;
	static _Alignas(max_align_t) char memory[1024];
	struct ipc_message message;
	unsigned heard = 0;
	uint64_t id = 0;
	bool refused;
	int parent[2];

	assert_int_equal(ipc_pair(parent), 0);
	scene->context.control = parent[0];
	scene->config.tls.leaf_rate = 1;
	greedy = add_worker(scene, 1);
	good = add_worker(scene, 2);
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(ask(greedy, i, "api.openai.com"), 0);
		turn(scene);
		heard += hear(greedy, &id, &refused) > 0;
	}
	assert_in_range(heard, 10, 99);
	/* The parent is told of the worker, once. */
	assert_int_equal(ipc_receive(parent[1], memory, sizeof(memory), &message), 1);
	assert_int_equal(message.type, CONTROL_LIMITED);
	assert_int_equal(((const struct control_peer *)message.body)->number, 1);
	assert_int_equal(ipc_receive(parent[1], memory, sizeof(memory), &message), -EAGAIN);
	assert_int_equal(ask(good, 1, "api.openai.com"), 0);
	turn(scene);
	assert_true(hear(good, &id, &refused) > 0);
	/* Nothing was lost: it is heard when its time has come. */
	scene->config.tls.leaf_rate = 10000;
	while (heard < 100) {
		ev_run(scene->context.loop, EVRUN_ONCE);
		while (hear(greedy, &id, &refused) > 0)
			assert_int_equal(id, ++heard);
	}
	close(parent[0]);
	close(parent[1]);
	close(greedy);
	close(good);
}

static void a_worker_that_does_not_read_stops_only_itself(void **state)
{
	struct scene *scene = *state;
	int stuck = add_worker(scene, 1), good = add_worker(scene, 2);
	unsigned asked = 0, heard = 0;
	uint64_t id = 0;
	bool refused;

	/* Until answers, and then requests, no longer fit its socket. */
	for (int round = 0; round < 3000 && ask(stuck, asked + 1, "example.com") == 0; round++) {
		asked++;
		ev_run(scene->context.loop, EVRUN_NOWAIT);
	}
	assert_true(asked > 10);
	assert_int_equal(ask(good, 1, "api.openai.com"), 0);
	turn(scene);
	assert_true(hear(good, &id, &refused) > 0);
	/* When it reads again, no answer is missing, and they come in order. */
	for (int round = 0; round < 10000 && heard < asked; round++) {
		while (hear(stuck, &id, &refused) > 0)
			assert_int_equal(id, ++heard);
		ev_run(scene->context.loop, EVRUN_NOWAIT);
	}
	assert_int_equal(heard, asked);
	close(stuck);
	close(good);
}

static void too_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	fail_msg("the signer did not end");
}

static void the_last_worker_ends_a_draining_signer(void **state)
{
	ev_timer patience;
	struct scene *scene = *state;
	int one = add_worker(scene, 1), two = add_worker(scene, 2);
	uint64_t id;
	bool refused;

	signer_role.drain(scene->signer, true);
	assert_int_equal(ask(one, 1, "api.openai.com"), 0);
	turn(scene);
	assert_true(hear(one, &id, &refused) > 0);
	close(one);
	close(two);
	ev_timer_init(&patience, too_late, 20, 0);
	ev_timer_start(scene->context.loop, &patience);
	/* Returns because of role_exit only: there is still a watcher. */
	ev_run(scene->context.loop, 0);
	ev_timer_stop(scene->context.loop, &patience);
}

static void a_faulty_authority_does_not_start(void **state)
{
	static const struct {
		struct forge ca;
		const char *problem;
	} rows[] = {
		{{.authority = true, .name = "a", .subject_id = ""}, "subjectKeyIdentifier"},
		{{.authority = true, .name = "a", .from_days = -9, .until_days = -1}, "expired"},
		{{.authority = true, .name = "a", .key = "RSA-1024"}, "2048"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scene *scene = scene_new(&rows[i].ca);
		struct why why = {""};

		assert_true(signer_role.init(&scene->context, &scene->signer, &why) < 0);
		assert_non_null(strstr(why.text, rows[i].problem));
		scene_free(scene);
	}
}

static void without_the_key_it_does_not_start(void **state)
{
	struct scene *scene = scene_new(&(struct forge){.authority = true, .name = "CA"});
	int key = scene->ca_key;
	struct why why = {""};

	(void)state;
	scene->ca_key = -1;
	assert_true(signer_role.init(&scene->context, &scene->signer, &why) < 0);
	assert_non_null(strstr(why.text, "CA's key"));
	close(key);
	scene_free(scene);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(listed_hosts_get_leaves_and_others_a_refusal),
		ROW(a_leaf_is_for_the_key_of_its_worker),
		ROW(a_second_key_is_refused_and_counted),
		ROW(a_flood_of_any_kind_is_limited_and_told),
		ROW(without_a_key_there_is_no_leaf),
		ROW(what_is_no_request_gets_no_answer_and_harms_nobody),
		ROW(a_worker_that_asks_for_too_much_waits_alone),
		ROW(a_worker_that_does_not_read_stops_only_itself),
		ROW(the_last_worker_ends_a_draining_signer),
		cmocka_unit_test(a_faulty_authority_does_not_start),
		cmocka_unit_test(without_the_key_it_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
