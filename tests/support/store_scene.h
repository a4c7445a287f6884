/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store in a directory of its own, and events that come to it as appliances send them, for tests. */
#ifndef SUPPORT_STORE_SCENE_H
#define SUPPORT_STORE_SCENE_H

#include <stdint.h>

#include "audit/event.h"
#include "collector/query.h"
#include "collector/store.h"

#define SCENE_DAY_NS 86400000000000ull

struct store_scene {
	char directory[64], path[80];
	struct store *store;
};

/* For cmocka: *state is the scene. */
int store_scene_setup(void **state);
int store_scene_teardown(void **state);

/* An event, sent as a chunk of its own; its place in the stream is the number. */
void scene_send_as(
	struct store *store, uint64_t sequence, const char *event_id, struct event *event);
/* Likewise; its id is made of the number. */
void scene_send(struct store *store, uint64_t sequence, struct event *event);
/* A call. */
void scene_send_call(struct store *store, uint64_t sequence, const char *ip, const char *model,
	uint64_t input, uint64_t output, const char *outcome);
/* An exchange of a moment; its model is "m" and the number. */
void scene_send_at(struct store *store, uint64_t number, uint64_t time_ns);
void scene_commit(struct store *store);

/* What rows told, a line each. */
struct scene_seen {
	unsigned rows;
	char text[16384];
	size_t len;
	struct query_head head;
};
int scene_see_usage(void *context, const struct query_usage *usage);
int scene_see_event(void *context, const struct query_event *event);

/* The number that a question to the file of 2023-11-14 has for an answer, or -1. */
long long scene_ask(struct store_scene *f, const char *sql);

#endif
