// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/manifest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "bpf/abi.h"
#include "supervise/role.h"

#define MANIFEST_MAGIC	 "sphandov"
#define MANIFEST_RECORDS 65536
#define MANIFEST_SEALS	 (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define FD_FIRST	 3 /* the ones before are the standard streams */

/* Magic and version are where they are in every version. */
struct manifest_head {
	char magic[8];
	uint32_t version;
	uint32_t abi; /* of the kernel programs and their pinned maps */
	uint32_t nrecords;
	uint32_t next_number;
	char epoch[24]; /* 16 hex digits, the rest 0 */
};

static_assert(sizeof(struct manifest_head) == 48, "no padding");
static_assert(sizeof(struct manifest_record) == 64, "no padding");

/* How many descriptors a record has at least, and at most. */
static const struct {
	const char *name;
	size_t least, most;
} kinds[MANIFEST_KINDS] = {
	[MANIFEST_PARENT] = {"parent", 3, 3},
	[MANIFEST_COUNTERS_OLDER] = {"older counters", 1, 1},
	[MANIFEST_LISTENER] = {"listener", 1, 2},
	[MANIFEST_GATEWAY] = {"gateway", 1, 1},
	[MANIFEST_RING] = {"ring", 4, 4},
	[MANIFEST_GENERATION] = {"generation", 0, 4},
	[MANIFEST_PROCESS] = {"process", 1, 1},
};

const char *manifest_kind_name(uint32_t kind)
{
	return kinds[kind].name;
}

/* ---- writing ---- */

void manifest_add(struct manifest *manifest, const struct manifest_record *record)
{
	if (manifest->n == manifest->room) {
		size_t room = manifest->room ? 2 * manifest->room : 64;
		struct manifest_record *records =
			realloc(manifest->records, room * sizeof(*records));

		if (!records) {
			manifest->failed = true;
			return;
		}
		manifest->records = records;
		manifest->room = room;
	}
	manifest->records[manifest->n++] = *record;
}

void manifest_free(struct manifest *manifest)
{
	free(manifest->records);
	*manifest = (struct manifest){.records = NULL};
}

int manifest_seal(const struct manifest *manifest, struct why *why)
{
	struct manifest_head head = {
		.magic = MANIFEST_MAGIC,
		.version = MANIFEST_VERSION,
		.abi = SALLYPORT_ABI,
		.nrecords = (uint32_t)manifest->n,
		.next_number = manifest->next_number,
	};
	size_t size = manifest->n * sizeof(*manifest->records);
	int fd;

	if (manifest->failed || manifest->n > MANIFEST_RECORDS)
		return why_set(why, ENOMEM, "handover: no memory for its manifest");
	memcpy(head.epoch, manifest->epoch, sizeof(manifest->epoch));
	fd = memfd_create("sallyport-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return why_set(why, errno, "handover: cannot make its memory file: %m");
	if (fchmod(fd, 0600) == 0 && pwrite(fd, &head, sizeof(head), 0) == sizeof(head) &&
		pwrite(fd, manifest->records, size, sizeof(head)) == (ssize_t)size &&
		fcntl(fd, F_ADD_SEALS, MANIFEST_SEALS | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return why_set(why, EIO, "handover: cannot write its manifest");
}

/* ---- reading ---- */

/* All descriptors so far, to find one that is named twice. */
struct seen {
	int32_t *fds;
	size_t n;
};

static int compare_fds(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static bool seen_twice(struct seen *seen)
{
	qsort(seen->fds, seen->n, sizeof(*seen->fds), compare_fds);
	for (size_t i = 1; i < seen->n; i++)
		if (seen->fds[i] == seen->fds[i - 1])
			return true;
	return false;
}

/* Those that it must have come first; none follows a missing one. */
static bool fds_fit(const struct manifest_record *record, struct seen *seen)
{
	size_t n = 0;

	while (n < MANIFEST_FDS && record->fds[n] >= FD_FIRST)
		seen->fds[seen->n++] = record->fds[n++];
	for (size_t i = n; i < MANIFEST_FDS; i++)
		if (record->fds[i] != -1)
			return false;
	return n >= kinds[record->kind].least && n <= kinds[record->kind].most;
}

/* Where in the list the reader is. */
struct place {
	const struct manifest *manifest;
	const struct manifest_record *generation; /* NULL: before the first */
	size_t current;				  /* generations that do not drain */
};

static bool process_fits(const struct place *place, const struct manifest_record *record)
{
	const struct manifest_record *before = record;

	if (!place->generation || record->role >= ROLE_KINDS || record->pid <= 1 ||
		record->index >= (record->role == ROLE_WORKER ? WORKERS_MAX : 1) ||
		record->number >= place->manifest->next_number)
		return false;
	/* One process in a place. */
	while (--before != place->generation)
		if (before->kind == MANIFEST_PROCESS && before->role == record->role &&
			before->index == record->index)
			return false;
	return record->role != ROLE_SHIPPER || !place->generation->draining;
}

static bool record_fits(struct place *place, const struct manifest_record *record)
{
	const struct manifest *manifest = place->manifest;

	if (record->ready > 1 || record->draining > 1 || record->relieved > 1)
		return false;
	if (record->relieved && (record->kind != MANIFEST_GENERATION || !record->draining))
		return false;
	if ((record->kind == MANIFEST_PARENT) != (record == manifest->records))
		return false;
	switch (record->kind) {
	case MANIFEST_RING:
		return record->number < manifest->next_number;
	case MANIFEST_GENERATION:
		place->generation = record;
		place->current += !record->draining;
		/* All or none: none follows a missing one. */
		return (record->fds[0] >= 0) == !record->draining &&
		       (record->fds[MANIFEST_FDS - 1] >= 0) == !record->draining;
	case MANIFEST_PROCESS:
		return process_fits(place, record);
	default:
		return !place->generation;
	}
}

static bool epoch_fits(const char epoch[24])
{
	static const char none[24];

	/* The 16 digits end before the end, since the rest is 0. */
	return memcmp(epoch + 16, none, sizeof(none) - 16) == 0 &&
	       strspn(epoch, "0123456789abcdef") == 16;
}

static int check_records(const struct manifest *manifest, struct why *why)
{
	struct place place = {.manifest = manifest};
	struct seen seen = {.fds = calloc(manifest->n * MANIFEST_FDS + 1, sizeof(*seen.fds))};
	int error = seen.fds ? 0 : why_set(why, ENOMEM, "handover: no memory for its manifest");

	for (size_t i = 0; i < manifest->n && !error; i++) {
		const struct manifest_record *record = &manifest->records[i];

		if (record->kind == 0 || record->kind >= MANIFEST_KINDS)
			error = why_set(why, EINVAL, "handover: record %zu is of no known kind", i);
		else if (!fds_fit(record, &seen) || !record_fits(&place, record))
			error = why_set(why, EINVAL, "handover: record %zu (%s) does not fit", i,
				kinds[record->kind].name);
	}
	if (!error && place.current != 1)
		error = why_set(why, EINVAL,
			"handover: %zu generations are current, there has to be one",
			place.current);
	if (!error && seen_twice(&seen))
		error = why_set(why, EINVAL, "handover: a descriptor is named twice");
	free(seen.fds);
	return error;
}

int manifest_decode(struct slice bytes, struct manifest *manifest, struct why *why)
{
	struct manifest_head head;
	int error;

	*manifest = (struct manifest){.records = NULL};
	if (bytes.len < offsetof(struct manifest_head, abi) ||
		memcmp(bytes.data, MANIFEST_MAGIC, sizeof(head.magic)) != 0)
		return why_set(why, EINVAL, "handover: this is no manifest");
	memcpy(&head, bytes.data, bytes.len < sizeof(head) ? bytes.len : sizeof(head));
	if (head.version != MANIFEST_VERSION)
		return why_set(why, EINVAL,
			"handover: its version is %u, and %s takes over version %u only: restart "
			"instead",
			head.version, SALLYPORT_VERSION, MANIFEST_VERSION);
	if (bytes.len < sizeof(head) || head.nrecords > MANIFEST_RECORDS || !head.nrecords ||
		bytes.len - sizeof(head) != head.nrecords * sizeof(*manifest->records))
		return why_set(why, EINVAL, "handover: its manifest is cut off or too long");
	if (head.abi != SALLYPORT_ABI)
		return why_set(why, EINVAL,
			"handover: the kernel programs are of version %u, those of %s of version "
			"%d: restart instead",
			head.abi, SALLYPORT_VERSION, SALLYPORT_ABI);
	if (!epoch_fits(head.epoch))
		return why_set(why, EINVAL, "handover: no epoch");
	memcpy(manifest->epoch, head.epoch, sizeof(manifest->epoch));
	manifest->next_number = head.next_number;
	manifest->n = manifest->room = head.nrecords;
	manifest->records = malloc(head.nrecords * sizeof(*manifest->records));
	if (!manifest->records)
		return why_set(why, ENOMEM, "handover: no memory for its manifest");
	memcpy(manifest->records, bytes.data + sizeof(head), bytes.len - sizeof(head));
	error = check_records(manifest, why);
	if (error)
		manifest_free(manifest);
	return error;
}

int manifest_read(int fd, struct manifest *manifest, struct why *why)
{
	size_t most = sizeof(struct manifest_head) + MANIFEST_RECORDS * sizeof(*manifest->records);
	struct buf bytes = BUF_EMPTY;
	int seals = fcntl(fd, F_GET_SEALS), error;
	struct stat st;

	*manifest = (struct manifest){.records = NULL};
	if (seals < 0 || (seals & MANIFEST_SEALS) != MANIFEST_SEALS || fstat(fd, &st) < 0 ||
		st.st_uid != 0)
		return why_set(why, EINVAL,
			"handover: descriptor %d is not the memory file that another parent "
			"sealed",
			fd);
	/* Who read it before left the offset at its end. */
	error = lseek(fd, 0, SEEK_SET) < 0 ? -errno : file_read_fd(fd, most, &bytes, why);
	if (!error)
		error = manifest_decode(buf_slice(&bytes), manifest, why);
	buf_free(&bytes);
	return error;
}
