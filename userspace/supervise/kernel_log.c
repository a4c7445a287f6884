// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORD_MAX 8192
#define TRIES	   5

/* The number between " key=" and the next space in line, or -1. */
static long field(const char *line, const char *key)
{
	const char *at = strstr(line, key);
	long value;
	char *end;

	if (!at)
		return -1;
	at += strlen(key);
	value = strtol(at, &end, 10);
	return end == at || *end != ' ' ? -1 : value;
}

long kernel_log_parse(struct slice line, pid_t pid)
{
	char text[RECORD_MAX + 1];

	if (line.len == 0 || line.len > RECORD_MAX)
		return -1;
	memcpy(text, line.data, line.len);
	text[line.len] = '\0';
	/* AUDIT_SECCOMP, as kernel/auditsc.c writes it. */
	if (!strstr(text, "audit: type=1326 ") || field(text, " pid=") != (long)pid ||
		field(text, " sig=") != 31)
		return -1;
	return field(text, " syscall=");
}

static long search(pid_t pid)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[RECORD_MAX];
	long found = -1;

	if (fd < 0)
		return -1;
	for (;;) {
		ssize_t got = read(fd, record, sizeof(record));
		long call;

		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* older records were overwritten meanwhile */
		if (got <= 0)
			break;
		call = kernel_log_parse(slice_of(record, (size_t)got), pid);
		if (call >= 0)
			found = call; /* the last one: numbers of processes come again */
	}
	close(fd);
	return found;
}

long kernel_log_refused_call(pid_t pid)
{
	static const struct timespec pause = {0, 10000000};
	long call = -1;

	for (int i = 0; i < TRIES && call < 0; i++) {
		if (i)
			nanosleep(&pause, NULL);
		call = search(pid);
	}
	return call;
}
