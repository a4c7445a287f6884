// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

#include "base/clock.h"
#include "tests/support/forge.h"
#include "tls/ca.h"
#include "tls/client_leg.h"
#include "tls/clienthello.h"

#define DAY_NS (86400 * NS_PER_S)

/* Two workers of one appliance, and OpenSSL's client, strict like Python's. */
struct scene {
	struct config config;
	struct ca *ca;
	int tickets_fd;
	EVP_PKEY *leaf_keys[LEAF_KINDS];
	struct ticket_keys *keys;
	const struct ticket_keys *mapped;
	struct tls_client_leg *legs[2];
	SSL_CTX *client;
	SSL_SESSION *session; /* the last one that the client was given */
	unsigned sessions;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct scene *scene = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(scene->session);
	scene->session = session;
	scene->sessions++;
	return 1;
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct ca_options options = {.name = "Test CA", .days = 365};

	scene->config.tls.ticket_rotation_ns = 8 * 3600 * NS_PER_S;
	assert_int_equal(ca_make(&options, clock_realtime_ns(), &scene->ca, NULL), 0);
	assert_int_equal(leaf_keys_make(scene->leaf_keys, NULL), 0);
	scene->keys = ticket_keys_create(&scene->tickets_fd, NULL);
	scene->mapped = ticket_keys_map(scene->tickets_fd, NULL);
	for (int i = 0; i < 2; i++) {
		struct why why = {""};

		scene->legs[i] =
			tls_client_leg_new(&scene->config, scene->leaf_keys, scene->mapped, &why);
		if (!scene->legs[i])
			fail_msg("%s", why.text);
	}
	scene->client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_app_data(scene->client, scene);
	SSL_CTX_set_verify(scene->client, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(scene->client), X509_V_FLAG_X509_STRICT);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(scene->client), scene->ca->certificate);
	SSL_CTX_set_session_cache_mode(
		scene->client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(scene->client, keep_session);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	SSL_SESSION_free(scene->session);
	SSL_CTX_free(scene->client);
	for (int i = 0; i < 2; i++)
		tls_client_leg_free(scene->legs[i]);
	ticket_keys_unmap(scene->mapped);
	ticket_keys_unmap(scene->keys);
	close(scene->tickets_fd);
	leaf_keys_free(scene->leaf_keys);
	ca_free(scene->ca);
	free(scene);
	return 0;
}

/* One connection: what became of it on both sides. */
struct meeting {
	SSL *server, *client;
	int fds[2]; /* of the server, of the client */
	bool done;
	const char *failure;
	struct why why;
};

static struct leaf *leaf_with(struct scene *scene, const char *host, EVP_PKEY *key)
{
	/* As the cache would make it. */
	struct leaf *leaf = calloc(1, sizeof(*leaf));

	leaf->references = 1;
	strcpy(leaf->host, host);
	leaf->context[0] = (unsigned char)host[0];
	leaf->chain = sk_X509_new_null();
	assert_int_equal(leaf_mint(scene->ca, slice_of_string(host), key, 30 * DAY_NS,
				 clock_realtime_ns(), &leaf->certificate, NULL),
		0);
	return leaf;
}

static struct leaf *leaf_for(struct scene *scene, const char *host)
{
	return leaf_with(scene, host, scene->leaf_keys[LEAF_ECDSA]);
}

static bool step(SSL *ssl, int *error, int *number)
{
	int result;

	if (*error != SSL_ERROR_WANT_READ)
		return false;
	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(ssl);
	*number = errno;
	*error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
	return *error == SSL_ERROR_WANT_READ;
}

static struct meeting meet(struct scene *scene, int worker, const char *host, bool resume)
{
	struct meeting m = {.fds = {-1, -1}};
	struct leaf *leaf = leaf_for(scene, host);
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ, number, ignored;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, m.fds), 0);
	m.client = SSL_new(scene->client);
	SSL_set_fd(m.client, m.fds[1]);
	SSL_set_tlsext_host_name(m.client, host);
	SSL_set1_host(m.client, host);
	if (resume)
		assert_int_equal(SSL_set_session(m.client, scene->session), 1);
	SSL_set_connect_state(m.client);
	step(m.client, &client, &ignored);

	/* The worker looks at the hello first, and only then makes the server's side. */
	assert_int_equal(recv(m.fds[0], &byte, 1, MSG_PEEK), 1);
	m.server = tls_client_leg_accept(scene->legs[worker], leaf);
	assert_non_null(m.server);
	assert_false(SSL_get_mode(m.server) & SSL_MODE_AUTO_RETRY);
	SSL_set_fd(m.server, m.fds[0]);
	leaf_release(leaf);
	for (int i = 0; i < 10; i++) {
		step(m.server, &server, &number);
		if (server != SSL_ERROR_WANT_READ && server != SSL_ERROR_NONE && !m.failure)
			m.failure = tls_client_leg_failure(m.server, server, number, &m.why);
		step(m.client, &client, &ignored);
		if (client != SSL_ERROR_WANT_READ && client != SSL_ERROR_NONE)
			shutdown(m.fds[1], SHUT_WR);
	}
	m.done = client == SSL_ERROR_NONE && server == SSL_ERROR_NONE;
	if (m.done) {
		/* The tickets of TLS 1.3 come with the first bytes. */
		assert_int_equal(SSL_write(m.server, "hello", 5), 5);
		assert_int_equal(SSL_read(m.client, &byte, 1), 1);
	}
	ERR_clear_error();
	return m;
}

static void part(struct meeting *m)
{
	SSL_shutdown(m->client);
	SSL_free(m->client);
	SSL_free(m->server);
	close(m->fds[0]);
	close(m->fds[1]);
}

static void both_versions_shake_hands_with_good_ciphers(void **state)
{
	struct scene *scene = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct meeting m;

		SSL_CTX_set_max_proto_version(scene->client, versions[i]);
		m = meet(scene, 0, "api.openai.com", false);
		if (!m.done)
			fail_msg("%s: %s", m.failure, m.why.text);
		assert_int_equal(SSL_version(m.client), versions[i]);
		assert_int_equal(SSL_get_verify_result(m.client), X509_V_OK);
		assert_true(SSL_CIPHER_is_aead(SSL_get_current_cipher(m.client)));
		assert_false(SSL_get_secure_renegotiation_support(m.client) == 0 &&
			     versions[i] == TLS1_2_VERSION);
		assert_int_equal(scene->sessions, i + 1);
		part(&m);
	}
}

static void a_ticket_is_good_at_every_worker(void **state)
{
	struct scene *scene = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct meeting m;

		SSL_CTX_set_max_proto_version(scene->client, versions[i]);
		m = meet(scene, 0, "api.openai.com", false);
		part(&m);
		m = meet(scene, 1, "api.openai.com", true);
		assert_true(m.done);
		assert_true(SSL_session_reused(m.client));
		assert_true(SSL_session_reused(m.server));
		part(&m);
	}
}

static void every_connection_can_be_resumed_by_the_next(void **state)
{
	struct scene *scene = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct meeting m;

		SSL_CTX_set_max_proto_version(scene->client, versions[i]);
		m = meet(scene, 0, "api.openai.com", false);
		part(&m);
		for (int j = 0; j < 4; j++) {
			m = meet(scene, j % 2, "api.openai.com", true);
			assert_true(m.done && SSL_session_reused(m.client));
			part(&m);
		}
	}
}

static void a_ticket_of_one_host_is_no_good_at_another(void **state)
{
	struct scene *scene = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct meeting m;

		SSL_CTX_set_max_proto_version(scene->client, versions[i]);
		m = meet(scene, 0, "api.openai.com", false);
		part(&m);
		m = meet(scene, 0, "other.openai.azure.com", true);
		assert_false(m.server && SSL_session_reused(m.server));
		part(&m);
	}
}

static void a_ticket_outlives_one_rotation_and_not_two(void **state)
{
	struct scene *scene = *state;
	struct meeting m = meet(scene, 0, "api.openai.com", false);

	SSL_SESSION *first = scene->session;

	part(&m);
	SSL_SESSION_up_ref(first);
	assert_int_equal(ticket_keys_rotate(scene->keys), 0);
	m = meet(scene, 1, "api.openai.com", true);
	assert_true(m.done && SSL_session_reused(m.server));
	part(&m);
	assert_int_equal(ticket_keys_rotate(scene->keys), 0);
	SSL_SESSION_free(scene->session);
	scene->session = first;
	m = meet(scene, 1, "api.openai.com", true);
	assert_true(m.done);
	assert_false(SSL_session_reused(m.server));
	part(&m);
}

static void without_keys_there_are_no_tickets(void **state)
{
	struct scene *scene = *state;
	struct meeting m;

	tls_client_leg_free(scene->legs[0]);
	scene->legs[0] = tls_client_leg_new(&scene->config, scene->leaf_keys, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		SSL_CTX_set_max_proto_version(scene->client, i ? TLS1_3_VERSION : TLS1_2_VERSION);
		m = meet(scene, 0, "api.openai.com", false);
		assert_true(m.done);
		part(&m);
	}
	if (scene->session)
		assert_false(SSL_SESSION_has_ticket(scene->session));
}

static void no_early_data_is_offered(void **state)
{
	struct scene *scene = *state;
	struct meeting m = meet(scene, 0, "api.openai.com", false);

	assert_int_equal(SSL_SESSION_get_max_early_data(scene->session), 0);
	part(&m);
}

static void renegotiation_is_refused(void **state)
{
	struct scene *scene = *state;
	struct meeting m;
	char byte;

	SSL_CTX_set_max_proto_version(scene->client, TLS1_2_VERSION);
	m = meet(scene, 0, "api.openai.com", false);
	assert_true(m.done);
	SSL_renegotiate(m.client);
	SSL_do_handshake(m.client);
	assert_true(SSL_read(m.server, &byte, 1) <= 0);
	SSL_do_handshake(m.client);
	assert_int_equal(SSL_num_renegotiations(m.server), 0);
	part(&m);
}

static void alpn_knows_http_1_only(void **state)
{
	struct scene *scene = *state;
	static const unsigned char both[] = "\2h2\10http/1.1", h2[] = "\2h2", old[] = "\10http/1.0";
	const unsigned char *chosen;
	unsigned len;
	struct meeting m;

	SSL_CTX_set_alpn_protos(scene->client, both, sizeof(both) - 1);
	m = meet(scene, 0, "api.openai.com", false);
	assert_true(m.done);
	SSL_get0_alpn_selected(m.client, &chosen, &len);
	assert_true(slice_equal(slice_of((const char *)chosen, len), SLICE("http/1.1")));
	part(&m);

	/* As curl --http1.0 does. */
	SSL_CTX_set_alpn_protos(scene->client, old, sizeof(old) - 1);
	m = meet(scene, 0, "api.openai.com", false);
	assert_true(m.done);
	SSL_get0_alpn_selected(m.client, &chosen, &len);
	assert_true(slice_equal(slice_of((const char *)chosen, len), SLICE("http/1.0")));
	part(&m);

	SSL_CTX_set_alpn_protos(scene->client, h2, sizeof(h2) - 1);
	m = meet(scene, 0, "api.openai.com", false);
	assert_false(m.done);
	assert_string_equal(m.failure, "no_common_application_protocol");
	part(&m);
}

static void weak_clients_are_refused_by_name(void **state)
{
	struct scene *scene = *state;
	static const struct {
		int most;
		const char *ciphers, *failure;
	} rows[] = {
		{TLS1_1_VERSION, "DEFAULT@SECLEVEL=0", "protocol_version"},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", "no_common_cipher"},
		{TLS1_2_VERSION, "AES128-GCM-SHA256:@SECLEVEL=0", "no_common_cipher"},
		{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", "no_common_cipher"},
		{TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", "no_common_cipher"},
		{TLS1_2_VERSION, "aNULL:@SECLEVEL=0", "no_common_cipher"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct meeting m;

		SSL_CTX_set_min_proto_version(scene->client, 0);
		SSL_CTX_set_max_proto_version(scene->client, rows[i].most);
		SSL_CTX_set_cipher_list(scene->client, rows[i].ciphers);
		m = meet(scene, 0, "api.openai.com", false);
		assert_false(m.done);
		if (!m.failure || strcmp(m.failure, rows[i].failure))
			fail_msg("row %zu: %s: %s", i, m.failure, m.why.text);
		part(&m);
	}
}

static void a_client_without_the_ca_is_told_apart(void **state)
{
	struct scene *scene = *state;
	X509_STORE *empty = X509_STORE_new();
	struct meeting m;

	SSL_CTX_set_cert_store(scene->client, empty);
	for (int i = 0; i < 2; i++) {
		SSL_CTX_set_max_proto_version(scene->client, i ? TLS1_3_VERSION : TLS1_2_VERSION);
		m = meet(scene, 0, "api.openai.com", false);
		assert_false(m.done);
		assert_string_equal(m.failure, "client_rejected_certificate");
		assert_non_null(strstr(m.why.text, "install the CA"));
		part(&m);
	}
}

/* Some clients close without an alert. */
static void a_silent_close_at_our_certificate_is_told_apart(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 2; i++) {
		struct leaf *leaf = leaf_for(scene, "api.openai.com");
		SSL *client = SSL_new(scene->client), *server;
		struct why why;
		int fds[2], result;

		SSL_set_max_proto_version(client, i ? TLS1_3_VERSION : TLS1_2_VERSION);
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
		SSL_set_fd(client, fds[1]);
		SSL_set_connect_state(client);
		SSL_do_handshake(client);
		server = tls_client_leg_accept(scene->legs[0], leaf);
		SSL_set_fd(server, fds[0]);
		leaf_release(leaf);
		assert_int_equal(SSL_do_handshake(server), -1);
		shutdown(fds[1], SHUT_WR);
		ERR_clear_error();
		result = SSL_do_handshake(server);
		assert_string_equal(
			tls_client_leg_failure(server, SSL_get_error(server, result), errno, &why),
			"client_closed_at_certificate");
		assert_int_equal(ERR_peek_error(), 0);
		SSL_free(server);
		SSL_free(client);
		close(fds[0]);
		close(fds[1]);
	}
}

static void a_leaf_of_another_key_is_refused(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *other = forge_key(NULL);
	struct leaf *leaf = leaf_with(scene, "api.openai.com", other);

	assert_null(tls_client_leg_accept(scene->legs[0], leaf));
	assert_int_equal(ERR_peek_error(), 0);
	leaf_release(leaf);
	EVP_PKEY_free(other);
}

/* ---- ticket keys ---- */

static void workers_cannot_write_ticket_keys(void **state)
{
	struct scene *scene = *state;
	long page = sysconf(_SC_PAGESIZE);

	assert_ptr_equal(
		mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, scene->tickets_fd, 0),
		MAP_FAILED);
	assert_int_equal(write(scene->tickets_fd, "x", 1), -1);
	assert_int_equal(
		mprotect((void *)(uintptr_t)scene->mapped, (size_t)page, PROT_READ | PROT_WRITE),
		-1);
}

static void ticket_keys_are_found_by_name(void **state)
{
	struct scene *scene = *state;
	struct ticket_key first, second, found;
	static const uint8_t nobody[16];

	assert_true(ticket_keys_current(scene->mapped, &first));
	assert_int_equal(ticket_keys_find(scene->mapped, first.name, &found), 1);
	assert_memory_equal(&first, &found, sizeof(first));
	assert_int_equal(ticket_keys_rotate(scene->keys), 0);
	assert_true(ticket_keys_current(scene->mapped, &second));
	assert_memory_not_equal(&first, &second, sizeof(first));
	assert_int_equal(ticket_keys_find(scene->mapped, first.name, &found), 2);
	assert_memory_equal(&first, &found, sizeof(first));
	assert_int_equal(ticket_keys_find(scene->mapped, nobody, &found), 0);
	assert_int_equal(ticket_keys_rotate(scene->keys), 0);
	assert_int_equal(ticket_keys_find(scene->mapped, first.name, &found), 0);
}

static void another_file_is_not_taken_for_ticket_keys(void **state)
{
	char zeroes[4096] = {0};
	struct forge_file file = forge_file(slice_of(zeroes, sizeof(zeroes)));
	struct why why;

	(void)state;
	assert_null(ticket_keys_map(file.fd, &why));
	assert_null(ticket_keys_map(-1, &why));
	close(file.fd);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(both_versions_shake_hands_with_good_ciphers),
		ROW(a_ticket_is_good_at_every_worker),
		ROW(every_connection_can_be_resumed_by_the_next),
		ROW(a_ticket_of_one_host_is_no_good_at_another),
		ROW(a_ticket_outlives_one_rotation_and_not_two),
		ROW(without_keys_there_are_no_tickets),
		ROW(no_early_data_is_offered),
		ROW(renegotiation_is_refused),
		ROW(alpn_knows_http_1_only),
		ROW(weak_clients_are_refused_by_name),
		ROW(a_client_without_the_ca_is_told_apart),
		ROW(a_silent_close_at_our_certificate_is_told_apart),
		ROW(a_leaf_of_another_key_is_refused),
		ROW(workers_cannot_write_ticket_keys),
		ROW(ticket_keys_are_found_by_name),
		ROW(another_file_is_not_taken_for_ticket_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
