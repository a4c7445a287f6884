// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/admission_map.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf/abi.h"

static int trie_add(int trie, const struct prefix *prefixes, size_t n, enum admission says)
{
	const uint32_t value = says;
	int error = 0;

	for (size_t i = 0; !error && i < n; i++) {
		struct prefix_key key = {.bits = prefixes[i].bits};

		memcpy(key.address.bytes, prefixes[i].address.bytes, sizeof(key.address.bytes));
		error = bpf_map_update_elem(trie, &key, &value, BPF_ANY);
	}
	return error;
}

int admission_map_set(int map, const struct config_admission *admission, struct why *why)
{
	static const struct prefix everybody = {.bits = 0};
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	const uint32_t zero = 0;
	int trie, error = 0;

	/* One for everybody. */
	if (admission->nallow + admission->ndeny >= ADMISSION_PREFIXES_MAX)
		return why_set(why, ENOSPC, "admission.allow and .deny: at most %d prefixes",
			ADMISSION_PREFIXES_MAX - 1);
	trie = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "admission", sizeof(struct prefix_key),
		sizeof(uint32_t), ADMISSION_PREFIXES_MAX, &options);
	if (trie < 0)
		return why_set(
			why, -trie, "admission: no map for its prefixes: %s", strerror(-trie));
	if (admission->nallow)
		error = trie_add(trie, &everybody, 1, ADMISSION_DENY);
	if (!error)
		error = trie_add(trie, admission->allow, admission->nallow, ADMISSION_ALLOW);
	if (!error)
		error = trie_add(trie, admission->deny, admission->ndeny, ADMISSION_DENY);
	/* The kernel keeps the trie, and returns when nobody looks at the one before. */
	if (!error)
		error = bpf_map_update_elem(map, &zero, &trie, BPF_ANY);
	close(trie);
	return error ? why_set(why, -error, "admission: its prefixes cannot be set: %s",
			       strerror(-error))
		     : 0;
}
