// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/host_name.h"

#define LABEL_MAX      63
#define NAME_MAX_BYTES 253

bool host_name_read(struct slice input, char name[HOST_NAME_SIZE])
{
	size_t label = 0;
	bool letter = false;

	name[0] = '\0';
	if (input.len && input.data[input.len - 1] == '.')
		input.len--;
	if (!input.len || input.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < input.len; i++) {
		char c = input.data[i];

		if (c == '.') {
			if (!label || name[i - 1] == '-')
				goto refused;
			label = 0;
			letter = false;
			name[i] = c;
			continue;
		}
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c >= 'a' && c <= 'z')
			letter = true;
		else if (!(c >= '0' && c <= '9') && !(c == '-' && label))
			goto refused;
		if (++label > LABEL_MAX)
			goto refused;
		name[i] = c;
	}
	if (!label || !letter || name[input.len - 1] == '-')
		goto refused;
	name[input.len] = '\0';
	return true;
refused:
	name[0] = '\0';
	return false;
}
