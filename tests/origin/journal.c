// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "json.h"

int journal_open(struct journal *j, const char *path)
{
	*j = (struct journal){.fd = -1};
	if (!path)
		return 0;
	j->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return j->fd < 0 ? -errno : 0;
}

void journal_start(struct journal *j, const char *kind, uint64_t connection)
{
	buf_clear(&j->line);
	buf_printf(&j->line, "{\"kind\":\"%s\",\"connection\":\"%u.%llu\",\"time\":%.6f", kind,
		(unsigned)getpid(), (unsigned long long)connection,
		(double)clock_realtime_ns() / 1e9);
}

struct buf *journal_value(struct journal *j, const char *name)
{
	buf_printf(&j->line, ",\"%s\":", name);
	return &j->line;
}

void journal_number(struct journal *j, const char *name, uint64_t value)
{
	buf_printf(journal_value(j, name), "%llu", (unsigned long long)value);
}

void journal_bool(struct journal *j, const char *name, bool value)
{
	buf_printf(journal_value(j, name), value ? "true" : "false");
}

void journal_bytes(struct journal *j, const char *name, struct slice value)
{
	struct buf *out = journal_value(j, name);

	if (value.data)
		json_bytes(out, value);
	else
		buf_append(out, "null", 4);
}

void journal_string(struct journal *j, const char *name, const char *value)
{
	journal_bytes(j, name, slice_of_string(value));
}

void journal_end(struct journal *j)
{
	struct slice line;

	buf_append(&j->line, "}\n", 2);
	line = buf_slice(&j->line);
	while (line.len) {
		ssize_t n = write(j->fd, line.data, line.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		line = slice_after(line, (size_t)n);
	}
}
