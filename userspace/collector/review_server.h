/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process beside the collector that shows what is stored: the page for browsers of this machine, and
 * the API behind it. A browser needs a session, which begins with a one-time link; on the socket the
 * kernel tells which user asks. */
#ifndef COLLECTOR_REVIEW_SERVER_H
#define COLLECTOR_REVIEW_SERVER_H

#include <ev.h>
#include <sys/types.h>

#include "base/address.h"
#include "collector/api.h"

struct review_server;

struct review_user {
	uid_t uid;
	enum role role;
};

struct review_options {
	struct ev_loop *loop;
	struct api_options api;
	const struct address_port *listen; /* for browsers: a loopback address */
	const char *socket;		   /* a path */
	const struct review_user *users;   /* besides root and ourselves, who are reviewers */
	size_t nusers;
};

/* Listens at once. NULL with why. All of the options stays the caller's and outlives the server. */
struct review_server *review_server_new(const struct review_options *options, struct why *why);
void review_server_free(struct review_server *server);

/* Serves until SIGTERM or SIGINT, or until the process that started it has ended; the exit status. */
int review_run(struct review_options *options);

#endif
