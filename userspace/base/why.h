/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reason of a failure, for a person: what failed, on which object, why, what to try. */
#ifndef BASE_WHY_H
#define BASE_WHY_H

struct why {
	char text[512];
};

/* Sets the reason and returns -error (a positive errno), so that callers can
 * `return why_set(why, EINVAL, …)`. A too long text is cut; why may be NULL. */
__attribute__((format(printf, 3, 4))) int why_set(
	struct why *why, int error, const char *format, ...);

#endif
