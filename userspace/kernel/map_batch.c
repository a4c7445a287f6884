/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/map_batch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES	(1u << 20)
#define BATCH_LEAST	64u
#define BATCH_MOST	(1u << 20) /* entries of one bucket: never seen */
#define KERNEL_NOTSUPP	524	   /* ENOTSUPP, which no header of userspace has */
#define INTERRUPTED_MAX 16

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static int batch_allocate(struct map_batch *batch)
{
	char *keys = reallocarray(batch->keys, batch->room, batch->key_size);
	char *values;

	if (!keys)
		return -ENOMEM;
	batch->keys = keys;
	values = reallocarray(batch->values, batch->room, batch->value_size);
	if (!values)
		return -ENOMEM;
	batch->values = values;
	return 0;
}

int map_batch_open(struct map_batch *batch, int map, uint32_t entries)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	size_t fits;
	int cpus = 1;

	*batch = (struct map_batch){.map = map};
	if (bpf_obj_get_info_by_fd(map, &info, &len) < 0)
		return -errno;
	batch->key_size = info.key_size;
	batch->value_size = info.value_size;
	if (is_per_cpu(info.type)) {
		cpus = libbpf_num_possible_cpus();
		if (cpus < 1)
			return -EIO;
		batch->value_size = (info.value_size + 7u) / 8 * 8 * (size_t)cpus;
	}
	batch->cpus = (uint32_t)cpus;
	batch->left = 2 * (size_t)info.max_entries;
	fits = BATCH_BYTES / batch->value_size;
	if (entries > fits)
		entries = fits > BATCH_LEAST ? (uint32_t)fits : BATCH_LEAST;
	batch->room = entries;
	/* The kernel's place in a hash map is a number of 4 bytes, in others a key. */
	len = batch->key_size > sizeof(uint64_t) ? (uint32_t)batch->key_size : sizeof(uint64_t);
	batch->at = calloc(2, len);
	if (!batch->at)
		return -ENOMEM;
	batch->next = batch->at + len;
	return batch_allocate(batch);
}

void map_batch_close(struct map_batch *batch)
{
	/* The two places are one piece of memory, and may have been exchanged. */
	free(batch->at < batch->next ? batch->at : batch->next);
	free(batch->keys);
	free(batch->values);
	*batch = (struct map_batch){.map = -1};
}

void map_batch_rewind(struct map_batch *batch)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	batch->started = batch->done = false;
	batch->n = 0;
	if (bpf_obj_get_info_by_fd(batch->map, &info, &len) == 0)
		batch->left = 2 * (size_t)info.max_entries;
}

static void batch_advance(struct map_batch *batch)
{
	char *at = batch->at;

	batch->at = batch->next;
	batch->next = at;
	batch->started = true;
}

/* Key by key, at most as many as a batch. */
static int keys_next(struct map_batch *batch)
{
	uint32_t n = 0;

	while (n < batch->room && !batch->done) {
		char *value = batch->values + n * batch->value_size;

		if (batch->left == 0 ||
			bpf_map_get_next_key(
				batch->map, batch->started ? batch->at : NULL, batch->next) < 0) {
			batch->done = true;
			break;
		}
		batch->left--;
		batch_advance(batch);
		if (bpf_map_lookup_elem(batch->map, batch->at, value) < 0)
			continue;
		memcpy(batch->keys + n * batch->key_size, batch->at, batch->key_size);
		n++;
	}
	batch->n = n;
	return (int)n;
}

static bool is_refused(int error)
{
	return error == -KERNEL_NOTSUPP || error == -EOPNOTSUPP || error == -EINVAL;
}

int map_batch_next(struct map_batch *batch)
{
	int error, interrupted = 0;
	uint32_t count;

	batch->n = 0;
	if (batch->done)
		return 0;
	if (batch->by_keys)
		return keys_next(batch);
	for (;;) {
		count = batch->room;
		error = bpf_map_lookup_batch(batch->map, batch->started ? batch->at : NULL,
			batch->next, batch->keys, batch->values, &count, NULL);
		if (!error || error == -ENOENT)
			break;
		if (is_refused(error) && !batch->started) {
			batch->by_keys = true;
			return keys_next(batch);
		}
		if ((error == -EINTR || error == -EAGAIN) && ++interrupted < INTERRUPTED_MAX)
			continue;
		/* The next bucket alone holds more. */
		if (error != -ENOSPC || batch->room >= BATCH_MOST)
			return error;
		batch->room *= 2;
		batch->retried++;
		error = batch_allocate(batch);
		if (error)
			return error;
	}
	batch->done = error == -ENOENT;
	batch_advance(batch);
	batch->n = count;
	return (int)count;
}
