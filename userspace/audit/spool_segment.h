/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool's files. A segment is named by its number, 16 hex digits and ".seg", and is a sequence
 * of frames: 16 bytes of header, then the body.
 *
 *	0	ff c1 fe c0: bytes that never occur in UTF-8
 *	4	length of the body (24 bits), type (8 bits); all numbers little-endian
 *	8	CRC-32C of the body
 *	12	CRC-32C of the 12 bytes before, the segment's number and the frame's offset
 *
 * So a damaged frame costs itself only: with a good header the next one is known, and else it is
 * found by its mark. A body cannot pass itself off as a frame: the text in it is UTF-8. The first
 * frame of a segment tells which sequence each stream has reached (FRAME_STREAMS). */
#ifndef AUDIT_SPOOL_SEGMENT_H
#define AUDIT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define FRAME_HEADER	16
#define FRAME_BODY_MAX	((16u << 20) - 1)
#define SEGMENT_MAX	(2ULL << 30) /* bytes: what is longer is no segment of ours */
#define SEGMENT_NAME	24
#define SEGMENT_NUMBERS (1ULL << 48) /* numbers are less; a file beyond is not ours */

enum frame_type { FRAME_RECORD = 1, FRAME_STREAMS = 2 };

struct frame {
	enum frame_type type;
	struct slice body; /* into the window */
	uint64_t offset;   /* of the header */
	uint64_t end;	   /* of the body */
};

void frame_header(unsigned char header[FRAME_HEADER], enum frame_type type, struct slice body,
	uint64_t segment, uint64_t offset);

enum frame_result {
	FRAME_OK,
	FRAME_SHORT,   /* the window ends too early: *need bytes are needed */
	FRAME_DAMAGED, /* *need bytes are no frame and to be passed over */
};
/* Looks at the front of the window, which is what stands at that offset of the segment. */
enum frame_result frame_read(struct slice window, uint64_t segment, uint64_t offset,
	struct frame *frame, size_t *need);

/* Reads the frames of a segment one after the other. */
struct segment_reader {
	int fd; /* the reader's; -1: closed */
	uint64_t number;
	uint64_t size;	  /* frames end here */
	uint64_t at;	  /* where the next frame is looked for; may be set by the caller */
	uint64_t damaged; /* places passed over since the reader was opened */
	uint64_t window_at;
	struct buf window;
};

#define SEGMENT_READER_CLOSED ((struct segment_reader){.fd = -1})

/* Opens the segment for reading and puts its size to reader->size. 0; -ENOENT; -EINVAL: not a
 * plain file, or longer than SEGMENT_MAX; or another negative errno. */
int segment_open(struct segment_reader *reader, int directory, uint64_t number);
/* 1: the next frame, valid until the next call; 0: no frame up to reader->size; negative errno. */
int segment_next(struct segment_reader *reader, struct frame *frame);
void segment_close(struct segment_reader *reader);

void segment_name(char name[SEGMENT_NAME], uint64_t number);
/* The number of a segment by its file's name; false: the name is not a segment's. */
bool segment_number(const char *name, uint64_t *number);

#endif
