/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libmicrohttpd on an event loop, for what we serve ourselves (metrics, health, the review page): the
 * number of connections, their memory and their time are bounded. */
#ifndef IO_HTTP_SERVICE_H
#define IO_HTTP_SERVICE_H

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "base/address.h"
#include "base/why.h"

struct http_service;

struct http_service_options {
	struct ev_loop *loop;
	int fd;			 /* listens; the service's from now on, also when it fails */
	unsigned connections;	 /* at a time */
	size_t memory;		 /* of one, for a request's head */
	uint64_t connection_ns;	 /* in all, however it trickles */
	/* While others wait in vain, the oldest connection makes room: for services whose answer takes
	 * no time, and whose address everybody reaches. */
	bool newest_first;
	/* As in MHD_start_daemon, called from the loop. */
	MHD_AccessHandlerCallback answer;
	void *context;
};

/* Serves while the loop runs. NULL: see why. */
struct http_service *http_service_new(const struct http_service_options *options, struct why *why);
/* Cuts the connections. NULL is allowed. */
void http_service_free(struct http_service *service);

/* A socket that listens on the address, or negative errno with why. */
int http_service_listen(const struct address_port *address, struct why *why);

#endif
