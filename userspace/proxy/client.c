// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/client.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tls/leaf.h"

#define CLIENT_MAGIC 0xc11e47u

static void client_hung_up(struct hangup *hangup)
{
	client_close(list_entry(hangup, struct client, hangup), false);
}

struct client *client_new(struct worker *worker, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->magic = CLIENT_MAGIC;
	client->worker = worker;
	client->fd = fd;
	client->accepted_ns = clock_monotonic_ns();
	hangup_init(&client->hangup, &worker->hangups, client_hung_up);
	return client;
}

static void client_free(struct garbage *garbage)
{
	struct client *client = list_entry(garbage, struct client, garbage);

	if (client->wire)
		client->wire->free(client);
	free(client);
}

void client_leave(struct client *client)
{
	struct worker *worker = client->worker;

	ev_io_stop(worker->loop, &client->peek);
	ev_timer_stop(worker->loop, &client->deadline);
	if (client->state == CLIENT_LEAF)
		leaf_cache_cancel(client->leaves, client->leaf_ticket);
	leaf_release(client->leaf);
	client->leaf = NULL;
	client->state = CLIENT_CLOSED;
	list_remove(&client->node);
	turn_discard(&worker->turn, &client->garbage, client_free);
	worker_ended(worker);
}

void client_close(struct client *client, bool reset)
{
	assert(client->magic == CLIENT_MAGIC);
	if (client->state == CLIENT_CLOSED)
		return;
	if (client->stream.flooded)
		counter_add(client->worker->counters, COUNTER_CLIENT_FLOODED, 1);
	hangup_stop(&client->hangup);
	if (client->fd >= 0)
		close(client->fd);
	else if (reset)
		stream_abort(&client->stream);
	else
		stream_close(&client->stream);
	client->fd = -1;
	client_leave(client);
	if (client->wire)
		client->wire->closed(client);
}

void client_arm(struct client *client, uint64_t deadline_ns)
{
	client->deadline.repeat = (double)deadline_ns / (double)NS_PER_S;
	ev_timer_again(client->worker->loop, &client->deadline);
}

void client_disarm(struct client *client)
{
	ev_timer_stop(client->worker->loop, &client->deadline);
}

void client_watch(struct client *client, bool input)
{
	stream_watch(&client->stream, input);
	if (input)
		hangup_stop(&client->hangup);
	else
		hangup_listen(&client->hangup, client->stream.fd);
}
