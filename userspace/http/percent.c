// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/percent.h"

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char percent_next(struct slice *text)
{
	char c = text->data[0];

	if (c == '%' && text->len > 2 && digit_of(text->data[1]) >= 0 &&
		digit_of(text->data[2]) >= 0) {
		c = (char)(digit_of(text->data[1]) << 4 | digit_of(text->data[2]));
		*text = slice_after(*text, 2);
	}
	*text = slice_after(*text, 1);
	return c;
}
