/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scout/learn with a world of text: what it does to packets is written down. Whatever fails here
 * fails the test. */
#ifndef SUPPORT_LEARN_SCENE_H
#define SUPPORT_LEARN_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "scout/learn.h"
#include "scout/packet.h"

#define NOW_NS (1000 * NS_PER_S)

/* What learn did to the world, as text: P3 passed packet 3, C3 passed it changed, D3 dropped it,
 * A2 asked for two endpoints, J70 judged a connection by its first 70 bytes, E sent a packet of its
 * own. */
struct scene {
	struct learn *learn;
	struct config *config;
	struct buf done;
	struct buf sent; /* what passed changed: payloads, one after the other */
	struct datapath_endpoint asked[LEARN_ASK_MAX];
	size_t nasked;
	uint32_t packets;
	bool begun; /* what the datapath says of a connection, and … */
	uint32_t isn;
	uint32_t judged_isn; /* … what was told to it last */
	uint8_t farther; /* added to the address that packets go to */
	/* Our own resolver knows 192.0.2.9 and 192.0.2.10 by every name, and says so at once … */
	bool resolver_waits; /* … or by confirm() */
	unsigned question;
	char asked_name[256]; /* the last name that it was asked for */
};

/* endpoints: what stands in that section of the configuration. */
void scene_open(struct scene *scene, const char *endpoints);
/* With the only host that is listed; its other keys may follow. */
void scene_open_host(struct scene *scene, const char *endpoints, const char *host);
void scene_close(struct scene *scene);
/* Asserts what was done since the last time. */
void assert_done(struct scene *scene, const char *expected);

/* An IPv4 packet from 192.0.2.1 to 198.51.100.7. */
void give(struct scene *scene, bool from_client, uint8_t protocol, unsigned source,
	unsigned destination, uint32_t sequence, uint8_t flags, struct slice payload,
	uint64_t now_ns);
void give_tcp(struct scene *scene, uint32_t sequence, uint8_t flags, struct slice payload);
void give_dns(struct scene *scene, struct slice message);
/* The resolver answers the last question: with the addresses that it knows, or with none. */
void confirm(struct scene *scene, bool confirmed);
/* What was asked for is done, or refused. */
void answer(struct scene *scene, bool learned);

#endif
