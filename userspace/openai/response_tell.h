/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the texts of one event of a streamed answer, all of them, those that nothing else reads as
 * well: whatever a client may show is heard before it goes on. */
#ifndef OPENAI_RESPONSE_TELL_H
#define OPENAI_RESPONSE_TELL_H

#include <yyjson.h>

#include "base/slice.h"
#include "openai/response_reader.h"

/* at: the offset in the body of the data that doc was made of, or RESPONSE_UNPLACED. NULL:
 * it could not be read. */
void response_tell(
	struct response_reader *reader, yyjson_doc *doc, struct slice data, uint64_t at);

#endif
