// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/spool_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/little_endian.h"
#include "base/crc32c.h"

#define READ_AHEAD (256u << 10)

static const unsigned char mark[4] = {0xff, 0xc1, 0xfe, 0xc0};

static uint32_t header_crc(const unsigned char *header, uint64_t segment, uint64_t offset)
{
	unsigned char place[16];

	put_le64(place, segment);
	put_le64(place + 8, offset);
	return crc32c(crc32c(0, header, 12), place, sizeof(place));
}

void frame_header(unsigned char header[FRAME_HEADER], enum frame_type type, struct slice body,
	uint64_t segment, uint64_t offset)
{
	memcpy(header, mark, sizeof(mark));
	put_le32(header + 4, (uint32_t)body.len | (uint32_t)type << 24);
	put_le32(header + 8, crc32c(0, body.data, body.len));
	put_le32(header + 12, header_crc(header, segment, offset));
}

/* How far it is to the next place that may be a frame; the first byte is none. */
static size_t next_mark(struct slice window)
{
	for (size_t at = 1; at < window.len;) {
		const char *found = memchr(window.data + at, mark[0], window.len - at);
		size_t left;

		if (!found)
			return window.len;
		at = (size_t)(found - window.data);
		left = window.len - at;
		if (memcmp(found, mark, left < sizeof(mark) ? left : sizeof(mark)) == 0)
			return at;
		at++;
	}
	return window.len;
}

enum frame_result frame_read(struct slice window, uint64_t segment, uint64_t offset,
	struct frame *frame, size_t *need)
{
	const unsigned char *header = (const unsigned char *)window.data;
	size_t len;
	uint32_t type;

	*need = FRAME_HEADER;
	if (window.len < FRAME_HEADER)
		return FRAME_SHORT;
	if (memcmp(header, mark, sizeof(mark)) != 0 ||
		get_le32(header + 12) != header_crc(header, segment, offset)) {
		*need = next_mark(window);
		return FRAME_DAMAGED;
	}
	len = get_le32(header + 4) & 0xffffff;
	type = get_le32(header + 4) >> 24;
	*need = FRAME_HEADER + len;
	if (window.len < *need)
		return FRAME_SHORT;
	frame->body = slice_of(window.data + FRAME_HEADER, len);
	if (crc32c(0, frame->body.data, len) != get_le32(header + 8) ||
		(type != FRAME_RECORD && type != FRAME_STREAMS))
		return FRAME_DAMAGED;
	frame->type = (enum frame_type)type;
	frame->offset = offset;
	frame->end = offset + *need;
	return FRAME_OK;
}

int segment_open(struct segment_reader *reader, int directory, uint64_t number)
{
	char name[SEGMENT_NAME];
	struct stat st;
	int fd;

	segment_name(name, number);
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ELOOP ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
		(uint64_t)st.st_size > SEGMENT_MAX) {
		close(fd);
		return -EINVAL;
	}
	segment_close(reader);
	reader->fd = fd;
	reader->number = number;
	reader->size = (uint64_t)st.st_size;
	return 0;
}

/* Makes the window hold at least need bytes from reader->at on, or all up to the end. */
static int segment_fill(struct segment_reader *reader, size_t need)
{
	uint64_t end = reader->window_at + buf_len(&reader->window);
	size_t want;
	char *room;
	ssize_t n;

	if (reader->at < reader->window_at || reader->at >= end) {
		buf_clear(&reader->window);
		reader->window_at = end = reader->at;
	}
	buf_consume(&reader->window, (size_t)(reader->at - reader->window_at));
	reader->window_at = reader->at;
	want = need > READ_AHEAD ? need : READ_AHEAD;
	if (want > reader->size - reader->at)
		want = (size_t)(reader->size - reader->at);
	while (buf_len(&reader->window) < want) {
		size_t missing = want - buf_len(&reader->window);

		room = buf_reserve(&reader->window, missing);
		if (!room)
			return -ENOMEM;
		n = pread(reader->fd, room, missing, (off_t)end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			reader->size = end; /* somebody cut the file */
			break;
		}
		buf_commit(&reader->window, (size_t)n);
		end += (uint64_t)n;
	}
	return 0;
}

/* What of the window stands at reader->at, and not beyond the end. */
static struct slice segment_window(const struct segment_reader *reader)
{
	uint64_t end = reader->window_at + buf_len(&reader->window);
	struct slice window = buf_slice(&reader->window);

	if (reader->at < reader->window_at || reader->at >= end)
		return SLICE_NONE;
	window = slice_after(window, (size_t)(reader->at - reader->window_at));
	return window.len <= reader->size - reader->at ?
		window :
		slice_first(window, (size_t)(reader->size - reader->at));
}

int segment_next(struct segment_reader *reader, struct frame *frame)
{
	bool damage = false;
	size_t need;
	int error;

	while (reader->at < reader->size) {
		struct slice window = segment_window(reader);
		enum frame_result result =
			frame_read(window, reader->number, reader->at, frame, &need);

		if (result == FRAME_OK) {
			reader->at = frame->end;
			return 1;
		}
		if (result == FRAME_DAMAGED) {
			reader->damaged += !damage;
			damage = true;
			reader->at += need;
			continue;
		}
		if (window.len < reader->size - reader->at) {
			error = segment_fill(reader, need);
			if (error)
				return error;
			continue;
		}
		reader->damaged += !damage;
		reader->at = reader->size;
	}
	return 0;
}

void segment_close(struct segment_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	buf_free(&reader->window);
	*reader = SEGMENT_READER_CLOSED;
}

void segment_name(char name[SEGMENT_NAME], uint64_t number)
{
	snprintf(name, SEGMENT_NAME, "%016" PRIx64 ".seg", number);
}

bool segment_number(const char *name, uint64_t *number)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 16; i++) {
		if (name[i] >= '0' && name[i] <= '9')
			value = value << 4 | (uint64_t)(name[i] - '0');
		else if (name[i] >= 'a' && name[i] <= 'f')
			value = value << 4 | (uint64_t)(name[i] - 'a' + 10);
		else
			return false;
	}
	*number = value;
	return strcmp(name + 16, ".seg") == 0 && value > 0 && value < SEGMENT_NUMBERS;
}
