// SPDX-License-Identifier: GPL-2.0-or-later
/* The input, then its two parts, as datagrams of one connection; the last byte says where it is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "scout/quic.h"
#include "tls/host_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct quic quic = QUIC_EMPTY;
	size_t cut = size ? (size_t)data[size - 1] * size / 255 : 0;
	struct slice parts[3] = {bytes, slice_first(bytes, cut), slice_after(bytes, cut)};

	for (int i = 0; i < 3; i++) {
		struct clienthello hello;
		char name[HOST_NAME_SIZE];

		if (quic_read(&quic, parts[i], &hello) == QUIC_HELLO && hello.sni_valid &&
			!host_name_read(slice_of_string(hello.sni), name))
			abort();
	}
	segments_free(&quic.crypto);
	return 0;
}
