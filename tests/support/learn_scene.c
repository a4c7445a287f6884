// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/learn_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void on_verdict(
	void *context, const struct nfqueue_packet *packet, bool pass, struct slice changed)
{
	struct scene *scene = context;

	buf_printf(&scene->done, "%c%u ", changed.len ? 'C' : pass ? 'P' : 'D', packet->id);
	if (changed.len) {
		struct ip_packet read;
		struct slice payload;

		assert_int_equal(ip_packet_read(changed, &read), IP_PACKET_OK);
		payload = ip_packet_payload(&read, changed);
		buf_append(&scene->sent, payload.data, payload.len);
	}
}

static void on_ask(void *context, const struct datapath_endpoint *endpoints, size_t n)
{
	struct scene *scene = context;

	buf_printf(&scene->done, "A%zu ", n);
	memcpy(scene->asked, endpoints, n * sizeof(*endpoints));
	scene->nasked = n;
}

static void on_confirm(void *context, unsigned question, const char *name)
{
	struct scene *scene = context;

	scene->question = question;
	snprintf(scene->asked_name, sizeof(scene->asked_name), "%s", name);
	if (!scene->resolver_waits)
		confirm(scene, true);
}

void confirm(struct scene *scene, bool confirmed)
{
	static const struct address truth[] = {{{[10] = 0xff, 0xff, 192, 0, 2, 9}},
		{{[10] = 0xff, 0xff, 192, 0, 2, 10}}};

	learn_confirmed(scene->learn, scene->question, truth,
		confirmed ? sizeof(truth) / sizeof(truth[0]) : 0, NOW_NS);
}

static void on_emit(void *context, const struct address *destination, struct slice packet)
{
	struct scene *scene = context;
	struct ip_packet read;

	(void)ip_packet_read(packet, &read);
	assert_true(address_equal(&read.destination, destination));
	buf_printf(&scene->done, "E ");
}

static bool on_begun(void *context, const struct ip_packet *packet, uint32_t *isn)
{
	const struct scene *scene = context;

	(void)packet;
	*isn = scene->isn;
	return scene->begun;
}

static void on_judged(void *context, const struct ip_packet *packet, uint32_t isn, uint32_t bytes)
{
	struct scene *scene = context;

	(void)packet;
	scene->judged_isn = isn;
	buf_printf(&scene->done, "J%u ", bytes);
}

void scene_open(struct scene *scene, const char *endpoints)
{
	scene_open_host(scene, endpoints, NULL);
}

void scene_open_host(struct scene *scene, const char *endpoints, const char *host)
{
	struct buf yaml = BUF_EMPTY;
	struct why why = {""};

	*scene = (struct scene){.packets = 0};
	buf_printf(&yaml, "datapath: {inside: lo}\nendpoints: {%s}\n", endpoints);
	if (host)
		buf_printf(&yaml, "hosts: [{pattern: %s, provider: openai}]\n", host);
	if (config_parse("test", buf_slice(&yaml), &scene->config, &why))
		fail_msg("%s", why.text);
	buf_free(&yaml);
	scene->learn = learn_new(scene->config, NULL,
		&(struct learn_output){.verdict = on_verdict,
			.ask = on_ask,
			.confirm = on_confirm,
			.begun = on_begun,
			.judged = on_judged,
			.emit = on_emit,
			.context = scene});
	assert_non_null(scene->learn);
}

void scene_close(struct scene *scene)
{
	learn_free(scene->learn);
	config_free(scene->config);
	buf_free(&scene->done);
	buf_free(&scene->sent);
}

void assert_done(struct scene *scene, const char *expected)
{
	buf_append(&scene->done, "", 1);
	assert_string_equal(buf_slice(&scene->done).data, expected);
	buf_clear(&scene->done);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void give(struct scene *scene, bool from_client, uint8_t protocol, unsigned source,
	unsigned destination, uint32_t sequence, uint8_t flags, struct slice payload,
	uint64_t now_ns)
{
	const uint8_t addresses[] = {
		192, 0, 2, 1, 198, 51, 100, (uint8_t)(7 + scene->farther)};
	size_t header = protocol == IP_PACKET_TCP ? 20 : 8, len = 20 + header + payload.len;
	struct nfqueue_packet packet = {.id = ++scene->packets};
	uint8_t *bytes = calloc(1, len);

	assert_non_null(bytes);
	bytes[0] = 0x45;
	put16(bytes + 2, (unsigned)len);
	bytes[9] = protocol;
	memcpy(bytes + 12, addresses, sizeof(addresses));
	put16(bytes + 20, source);
	put16(bytes + 22, destination);
	if (protocol == IP_PACKET_TCP) {
		put16(bytes + 24, sequence >> 16);
		put16(bytes + 26, sequence & 0xffff);
		bytes[32] = 0x50;
		bytes[33] = flags;
	} else {
		put16(bytes + 24, (unsigned)(header + payload.len));
	}
	if (payload.len)
		memcpy(bytes + 20 + header, payload.data, payload.len);
	learn_packet(scene->learn, &packet, from_client, (char *)bytes, len, now_ns);
	free(bytes);
}

void give_tcp(struct scene *scene, uint32_t sequence, uint8_t flags, struct slice payload)
{
	give(scene, true, IP_PACKET_TCP, 40000, 443, sequence, flags, payload, NOW_NS);
}

void give_dns(struct scene *scene, struct slice message)
{
	give(scene, false, IP_PACKET_UDP, 53, 40000, 0, 0, message, NOW_NS);
}

void answer(struct scene *scene, bool learned)
{
	for (size_t i = 0; i < scene->nasked; i++)
		scene->asked[i].state = learned ? ENDPOINT_STEERED : ENDPOINT_REFUSED;
	learn_told(scene->learn, scene->asked, scene->nasked, NOW_NS);
}
