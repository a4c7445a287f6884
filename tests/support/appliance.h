/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A daemon under test: its directory, its process, its children. The test program itself is the
 * daemon when it is run as "--parent CONFIG". What is expected and does not come within
 * APPLIANCE_PATIENCE_NS fails the test and shows the log. */
#ifndef SUPPORT_APPLIANCE_H
#define SUPPORT_APPLIANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

#define APPLIANCE_PATIENCE_NS (30 * NS_PER_S)
/* Worker i listens on this port + i of 127.0.0.1. */
#define APPLIANCE_PORT 15100

struct appliance {
	char directory[64];
	pid_t parent; /* 0: not running */
	int notify;   /* where its sd_notify messages arrive */
};

/* For cmocka, of the group: a network, with loopback, and mounts of the test program's own. */
int appliance_namespaces(void **state);
/* For cmocka: a directory with a configuration of 2 workers, key files and a BPF file system; needs
 * appliance_namespaces(). */
int appliance_setup(void **state);
int appliance_teardown(void **state);

void appliance_configure(const struct appliance *a, unsigned workers, const char *drain);
void appliance_write(const struct appliance *a, const char *name, mode_t mode, const char *text);
/* A path inside its directory; until the next call. */
const char *appliance_path(const struct appliance *a, const char *name);
void appliance_start(struct appliance *a);
void appliance_start_as(struct appliance *a, uid_t uid);

bool appliance_log_has(const struct appliance *a, const char *text);
void appliance_expect_log(const struct appliance *a, const char *text);
/* The next message to the service manager with that text; until the next call. */
const char *appliance_expect_notify(const struct appliance *a, const char *text);
/* The exit status; -1: killed. */
int appliance_expect_end(struct appliance *a);
/* The running child of that name ("worker 0"): now, or 0; when there is one; and when it is another
 * than before. */
pid_t appliance_child_now(const struct appliance *a, const char *title);
pid_t appliance_child(const struct appliance *a, const char *title);
pid_t appliance_child_after(const struct appliance *a, const char *title, pid_t before);
void appliance_expect_gone(const struct appliance *a, pid_t pid);

/* The start of a file, as a string, "" when there is none; until the next call. */
char *file_text(const char *path);
bool process_runs(pid_t pid);
/* A line of /proc/PID/status. */
void process_expect_status(pid_t pid, const char *field, const char *value);

#endif
