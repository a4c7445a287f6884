/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Measured durations and their percentiles. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct samples {
	uint32_t *values;
	size_t n, room;
};

static inline void samples_add(struct samples *s, uint32_t value)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 4096;
		s->values = reallocarray(s->values, s->room, sizeof(*s->values));
		if (!s->values)
			abort();
	}
	s->values[s->n++] = value;
}

static inline int samples_compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The value that percent of the samples do not exceed; 0 without samples. Sorts them. */
static inline uint32_t samples_percentile(struct samples *s, unsigned percent)
{
	if (!s->n)
		return 0;
	qsort(s->values, s->n, sizeof(*s->values), samples_compare);
	return s->values[(s->n - 1) * percent / 100];
}

#endif
