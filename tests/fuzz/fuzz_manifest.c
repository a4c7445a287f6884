// SPDX-License-Identifier: GPL-2.0-or-later
/* A manifest that is accepted has what a parent needs to go on, and is written as it was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "bpf/abi.h"
#include "supervise/manifest.h"
#include "supervise/role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void look(const struct manifest *manifest)
{
	size_t current = 0;
	bool draining = true;

	demand(manifest->n > 0 && manifest->records[0].kind == MANIFEST_PARENT);
	demand(strlen(manifest->epoch) == 16);
	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_record *record = &manifest->records[i];

		demand(record->kind > 0 && record->kind < MANIFEST_KINDS);
		if (record->kind == MANIFEST_GENERATION) {
			draining = record->draining;
			current += !draining;
		}
		if (record->kind != MANIFEST_PROCESS)
			continue;
		demand(record->role < ROLE_KINDS && record->index < WORKERS_MAX);
		demand(record->pid > 1 && record->fds[0] > STDERR_FILENO);
		demand(record->role != ROLE_SHIPPER || !draining);
	}
	demand(current == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct buf again = BUF_EMPTY;
	struct manifest manifest;
	struct why why;
	int fd;

	if (manifest_decode(bytes, &manifest, &why)) {
		demand(!manifest.records);
		return 0;
	}
	look(&manifest);
	fd = manifest_seal(&manifest, &why);
	demand(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	demand(file_read_fd(fd, size + 1, &again, &why) == 0);
	demand(slice_equal(buf_slice(&again), bytes));
	close(fd);
	buf_free(&again);
	manifest_free(&manifest);
	return 0;
}
