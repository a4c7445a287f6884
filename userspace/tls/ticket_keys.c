// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ticket_keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#define TICKET_KEYS_MAGIC 0x5a117c4b
/* A rotation copies 160 bytes: who does not get through in so many turns never will. */
#define READ_ATTEMPTS 1000000

/* One writer, many readers: a seqlock. The sequence is odd while the keys change. The keys
 * themselves are words of atomics, so that a torn read is only ever a value that is thrown away. */
#define KEY_WORDS (sizeof(struct ticket_key) / sizeof(uint64_t))

struct ticket_keys {
	uint32_t magic;
	_Atomic uint32_t sequence;
	_Atomic uint64_t current[KEY_WORDS];
	_Atomic uint64_t previous[KEY_WORDS];
};

static_assert(sizeof(struct ticket_key) % sizeof(uint64_t) == 0, "a key is whole words");

static void key_store(_Atomic uint64_t *to, const struct ticket_key *key)
{
	uint64_t words[KEY_WORDS];

	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < KEY_WORDS; i++)
		atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
	OPENSSL_cleanse(words, sizeof(words));
}

static void key_load(const _Atomic uint64_t *from, struct ticket_key *key)
{
	uint64_t words[KEY_WORDS];

	for (size_t i = 0; i < KEY_WORDS; i++)
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(key, words, sizeof(words));
	OPENSSL_cleanse(words, sizeof(words));
}

static void keys_write(struct ticket_keys *keys, const struct ticket_key *current,
	const struct ticket_key *previous)
{
	uint32_t sequence = atomic_load_explicit(&keys->sequence, memory_order_relaxed);

	atomic_store_explicit(&keys->sequence, sequence | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	key_store(keys->current, current);
	key_store(keys->previous, previous);
	atomic_store_explicit(&keys->sequence, (sequence | 1) + 1, memory_order_release);
}

static bool keys_read(
	const struct ticket_keys *keys, struct ticket_key *current, struct ticket_key *previous)
{
	for (int i = 0; i < READ_ATTEMPTS; i++) {
		uint32_t before = atomic_load_explicit(&keys->sequence, memory_order_acquire);

		if (before & 1)
			continue;
		key_load(keys->current, current);
		if (previous)
			key_load(keys->previous, previous);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&keys->sequence, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

int ticket_keys_rotate(struct ticket_keys *keys)
{
	struct ticket_key current, fresh;
	int error = -EIO;

	key_load(keys->current, &current);
	if (RAND_bytes((unsigned char *)&fresh, sizeof(fresh)) == 1) {
		keys_write(keys, &fresh, &current);
		error = 0;
	}
	OPENSSL_cleanse(&current, sizeof(current));
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return error;
}

struct ticket_keys *ticket_keys_create(int *fd, struct why *why)
{
	struct ticket_keys *keys = MAP_FAILED;
	int error;

	*fd = memfd_create("ticket keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || ftruncate(*fd, sizeof(*keys)))
		goto failed;
	keys = mmap(NULL, sizeof(*keys), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	/* This mapping stays writable, every later one is refused. */
	if (keys == MAP_FAILED ||
		fcntl(*fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL))
		goto failed;
	madvise(keys, sizeof(*keys), MADV_DONTDUMP);
	keys->magic = TICKET_KEYS_MAGIC;
	/* Twice, so that the previous key is no guessable one either. */
	if (!ticket_keys_rotate(keys) && !ticket_keys_rotate(keys))
		return keys;
	errno = EIO;
failed:
	error = errno;
	if (keys != MAP_FAILED)
		munmap(keys, sizeof(*keys));
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	why_set(why, error, "cannot make the session ticket keys: %s", strerror(error));
	return NULL;
}

const struct ticket_keys *ticket_keys_map(int fd, struct why *why)
{
	struct ticket_keys *keys;
	struct stat status;

	if (fstat(fd, &status) || (size_t)status.st_size != sizeof(*keys)) {
		why_set(why, EINVAL, "the session ticket keys have another size than expected");
		return NULL;
	}
	keys = mmap(NULL, sizeof(*keys), PROT_READ, MAP_SHARED, fd, 0);
	if (keys == MAP_FAILED) {
		why_set(why, errno, "cannot map the session ticket keys: %s", strerror(errno));
		return NULL;
	}
	madvise(keys, sizeof(*keys), MADV_DONTDUMP);
	if (keys->magic == TICKET_KEYS_MAGIC)
		return keys;
	munmap(keys, sizeof(*keys));
	why_set(why, EINVAL, "the descriptor handed over does not hold session ticket keys");
	return NULL;
}

struct ticket_keys *ticket_keys_inherit(int from, int *fd, struct why *why)
{
	const struct ticket_keys *old = ticket_keys_map(from, why);
	struct ticket_key current, previous;
	struct ticket_keys *keys;

	*fd = -1;
	if (!old)
		return NULL;
	keys = ticket_keys_create(fd, why);
	/* A writer that died in the middle of a rotation leaves none: then they are fresh. */
	if (keys && keys_read(old, &current, &previous))
		keys_write(keys, &current, &previous);
	OPENSSL_cleanse(&current, sizeof(current));
	OPENSSL_cleanse(&previous, sizeof(previous));
	ticket_keys_unmap(old);
	return keys;
}

void ticket_keys_unmap(const struct ticket_keys *keys)
{
	if (keys)
		munmap((void *)(uintptr_t)keys, sizeof(*keys));
}

bool ticket_keys_current(const struct ticket_keys *keys, struct ticket_key *key)
{
	return keys_read(keys, key, NULL);
}

int ticket_keys_find(const struct ticket_keys *keys, const uint8_t name[16], struct ticket_key *key)
{
	struct ticket_key previous;
	int found = 0;

	if (keys_read(keys, key, &previous)) {
		if (!memcmp(key->name, name, sizeof(key->name))) {
			found = 1;
		} else if (!memcmp(previous.name, name, sizeof(previous.name))) {
			*key = previous;
			found = 2;
		}
	}
	if (!found)
		OPENSSL_cleanse(key, sizeof(*key));
	OPENSSL_cleanse(&previous, sizeof(previous));
	return found;
}
