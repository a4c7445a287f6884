// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/support/printed.h"

FILE *printed_begin(struct printed *printed)
{
	free(printed->text);
	printed->text = NULL;
	printed->out = open_memstream(&printed->text, &printed->len);
	assert_non_null(printed->out);
	return printed->out;
}

const char *printed_end(struct printed *printed)
{
	assert_int_equal(fclose(printed->out), 0);
	return printed->text;
}

void printed_free(struct printed *printed)
{
	free(printed->text);
}

void assert_shown(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}
