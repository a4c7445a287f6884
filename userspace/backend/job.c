// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/job.h"

#include <stdbool.h>
#include <string.h>

/* Places of one name. */
#define JOB_PLACES 8
/* Jobs that are part of one another. */
#define JOB_PARENTS 4

#define JOB_FILLED UINT64_MAX /* the key of a place that somebody fills, or died at */

static uint64_t key_of(struct slice id)
{
	uint64_t key = standing_hash(id);

	return key == JOB_FILLED ? 1 : key;
}

static struct standing_job *job_find(const struct standing *standing, uint64_t key)
{
	for (unsigned i = 0; i < JOB_PLACES; i++) {
		struct standing_job *job = standing_job(standing, key + i);

		if (atomic_load_explicit(&job->key, memory_order_acquire) == key)
			return job;
	}
	return NULL;
}

/* A free place, or that of the job that began longest ago. */
static struct standing_job *job_worst(const struct standing *standing, uint64_t key)
{
	struct standing_job *worst = NULL;
	uint64_t oldest_s = UINT64_MAX;

	for (unsigned i = 0; i < JOB_PLACES; i++) {
		struct standing_job *job = standing_job(standing, key + i);
		uint64_t begun_s = atomic_load_explicit(&job->begun_s, memory_order_relaxed);

		if (!atomic_load_explicit(&job->key, memory_order_relaxed))
			return job;
		if (begun_s <= oldest_s) {
			oldest_s = begun_s;
			worst = job;
		}
	}
	return worst;
}

/* False: another one is at that place, or the job is known. */
static bool job_make(struct standing *standing, uint64_t key, uint64_t parent, struct slice owner,
	bool told, uint64_t now_s)
{
	struct standing_job *job = job_worst(standing, key);
	uint64_t before = atomic_load_explicit(&job->key, memory_order_relaxed);
	size_t len = owner.len < STANDING_JOB_OWNER - 1 ? owner.len : STANDING_JOB_OWNER - 1;

	/* Whoever died at a place leaves it to the next. */
	if (job_find(standing, key) ||
		!atomic_compare_exchange_strong(&job->key, &before, JOB_FILLED))
		return false;
	memset(job->owner, 0, sizeof(job->owner));
	if (len)
		memcpy(job->owner, owner.data, len);
	atomic_store_explicit(&job->parent, parent, memory_order_relaxed);
	atomic_store_explicit(&job->told, told, memory_order_relaxed);
	atomic_store_explicit(&job->begun_s, now_s, memory_order_relaxed);
	atomic_store_explicit(&job->key, key, memory_order_release);
	return true;
}

void job_begin(struct standing *standing, struct slice id, struct slice owner, uint64_t now_s)
{
	job_make(standing, key_of(id), 0, owner, false, now_s);
}

void job_adopt(struct standing *standing, struct slice id, struct slice other, uint64_t now_s)
{
	if (!slice_equal(id, other))
		job_make(standing, key_of(other), key_of(id), SLICE_NONE, false, now_s);
}

enum job_said job_tell(
	struct standing *standing, struct slice id, uint64_t now_s, char owner[STANDING_JOB_OWNER])
{
	uint64_t key = key_of(id);
	struct standing_job *job = job_find(standing, key);

	owner[0] = '\0';
	for (unsigned i = 0; job && i < JOB_PARENTS; i++) {
		uint64_t parent = atomic_load_explicit(&job->parent, memory_order_relaxed);

		if (!parent)
			break;
		key = parent;
		job = job_find(standing, key);
	}
	if (!job) {
		job_make(standing, key, 0, SLICE_NONE, true, now_s);
		return JOB_UNKNOWN;
	}
	memcpy(owner, job->owner, STANDING_JOB_OWNER);
	owner[STANDING_JOB_OWNER - 1] = '\0';
	if (atomic_exchange(&job->told, 1))
		return JOB_AGAIN;
	return owner[0] ? JOB_FIRST : JOB_UNKNOWN;
}
