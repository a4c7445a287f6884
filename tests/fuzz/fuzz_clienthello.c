// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever arrives: no answer but the five, a name is a host name, and the answer to a whole input
 * never contradicts the answer to its beginning. */
#include <stdint.h>
#include <stdlib.h>

#include "tls/clienthello.h"
#include "tls/host_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct clienthello hello, early;
	enum clienthello_result whole = clienthello_parse(bytes, &hello);
	enum clienthello_result part = clienthello_parse(
		slice_first(bytes, size ? (size_t)data[size - 1] * size / 255 : 0), &early);

	demand(part == CLIENTHELLO_MORE || part == whole);
	demand(whole != CLIENTHELLO_TOO_LONG || size >= 9);
	if (whole == CLIENTHELLO_OK) {
		char name[HOST_NAME_SIZE];

		demand(hello.sni_valid == (hello.sni[0] != '\0'));
		demand(!hello.sni_valid ||
			(hello.has_sni && host_name_read(slice_of_string(hello.sni), name) &&
				strcmp(name, hello.sni) == 0));
		demand(part == CLIENTHELLO_MORE || memcmp(&early, &hello, sizeof(hello)) == 0);
	}
	return 0;
}
