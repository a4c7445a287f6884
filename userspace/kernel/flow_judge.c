// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_judge.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "bpf/abi.h"

static void key_fill(struct flow_key *key, const struct flow_names *names)
{
	memset(key, 0, sizeof(*key));
	memcpy(&key->client, names->client, sizeof(key->client));
	memcpy(&key->server, names->server, sizeof(key->server));
	key->client_port = htons(names->client_port);
	key->server_port = htons(names->server_port);
}

bool flow_judge_begun(const struct flow_judge *judge, const struct flow_names *names, uint32_t *isn)
{
	struct flow_key key;
	struct flow flow;

	if (judge->flows < 0)
		return false;
	key_fill(&key, names);
	if (bpf_map_lookup_elem(judge->flows, &key, &flow) < 0 || (flow.marks & FLOW_NO_SYN))
		return false;
	*isn = flow.isn;
	return true;
}

void flow_judge_tell(const struct flow_judge *judge, const struct flow_names *names, uint32_t isn,
	uint32_t bytes)
{
	const struct judgement judgement = {.isn = isn, .bytes = bytes};
	struct flow_key key;

	if (judge->judgements < 0)
		return;
	key_fill(&key, names);
	(void)bpf_map_update_elem(judge->judgements, &key, &judgement, BPF_ANY);
}
