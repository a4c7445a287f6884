/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration in force, with the files that belong to it and the processes that run by it. A
 * reload makes a new generation beside the old one. */
#ifndef SUPERVISE_GENERATION_H
#define SUPERVISE_GENERATION_H

#include "base/buf.h"
#include "base/why.h"
#include "config/config.h"
#include "supervise/process.h"

struct parent;

struct generation;
struct service;

/* Reads a configuration file and checks it against the system; what is wrong is logged. 0: *config
 * and the text are the caller's; else negative errno, and the text may have been filled. */
int generation_load(const char *path, struct config **config, struct buf *text);

/* Leaves the configuration that is in force in the run directory, for the command line
 * (CONFIG_RUNNING_FILE); a failure is logged. And takes it away. */
void generation_publish(const struct generation *generation, const char *config_path);
void generation_unpublish(const struct generation *generation);

/* Opens the files of the configuration. No process is started. The generation takes config, also
 * on failure. NULL with why. */
struct generation *generation_new(
	struct parent *parent, struct config *config, struct slice text, struct why *why);
/* One of a parent before, with its places, all empty, and no files open yet; those that the caller
 * sets are the generation's. config NULL: it drains, and nothing is started for it any more. */
struct generation *generation_adopt(
	struct parent *parent, struct config *config, unsigned workers, struct why *why);
/* None of its processes may be left, nor the shipper run by it. */
void generation_free(struct generation *generation);
/* Services with a process in them. kind ROLE_KINDS: of any kind. */
unsigned generation_running(const struct generation *generation, enum role_kind kind);
bool generation_is_ready(const struct generation *generation);

void service_init(struct service *service, struct parent *parent, struct generation *generation,
	enum role_kind kind, unsigned index);
/* The place of that kind; NULL: the generation has no such worker, and never a shipper. */
struct service *generation_service(
	struct generation *generation, enum role_kind kind, unsigned index);
/* Goes on with a process that a parent before started in this service, see process_adopt. */
int service_adopt(struct service *service, const struct process_state *state, uint32_t number,
	struct why *why);
/* Starts the process of an empty service, hands it what its role needs, and introduces it to the
 * others. 0, or negative errno with why. */
int service_start(struct service *service, struct why *why);
/* Tells the shipper of the rings of streams from that number on. */
void service_introduce(struct service *shipper, uint32_t from);
/* Starts another worker in the place of one that gives no sign of life, at the same listeners. That
 * one drains, should it come to itself, and is killed when it does not. -EBUSY: as many as may be
 * wait for their end already; or negative errno of service_start: with why. */
int service_relieve(struct service *service, struct why *why);
/* Starts it after the pause that its failures ask for; the reason of a failing start is logged and
 * counts as a failure. */
void service_start_later(struct service *service);

#endif
