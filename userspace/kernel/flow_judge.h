/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scout's view of the flow table: where a connection began, and his word that he has judged it,
 * after which its packets are not shown to him any more. */
#ifndef KERNEL_FLOW_JUDGE_H
#define KERNEL_FLOW_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

struct flow_judge {
	int flows;	/* to read; -1: there is none, and nothing is known */
	int judgements; /* to write */
};

/* A TCP connection; ports in host order. */
struct flow_names {
	const struct address *client, *server;
	uint16_t client_port, server_port;
};

/* Whether the appliance saw the connection begin: then *isn is the sequence number of its SYN. */
bool flow_judge_begun(
	const struct flow_judge *judge, const struct flow_names *names, uint32_t *isn);
/* What follows the first bytes of the connection that began with this sequence number is not to be
 * shown any more. Should it not be written down, packets go on to be shown. */
void flow_judge_tell(const struct flow_judge *judge, const struct flow_names *names, uint32_t isn,
	uint32_t bytes);

#endif
