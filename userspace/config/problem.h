/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong with a configuration: all of it is told, and the first is the reason. */
#ifndef CONFIG_PROBLEM_H
#define CONFIG_PROBLEM_H

#include <stddef.h>

#include "base/why.h"

struct problems {
	void (*told)(void *context, const char *problem); /* NULL: nobody wants all of them */
	void *context;
	struct why *why; /* the first; may be NULL */
	size_t count;
};

/* One more. Returns -error, as why_set. */
__attribute__((format(printf, 3, 4))) int problem_set(
	struct problems *problems, int error, const char *format, ...);

/* The one of the n names that was most likely meant by this text; NULL: none is near. */
const char *problem_nearest(const char *text, const char *const *names, size_t n);

#endif
