/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The netfilter rules that show packets to the scout: tables of our own in nf_tables, so that they
 * coexist with whatever else filters here, nftables or iptables, and go away as a whole. */
#ifndef KERNEL_QUEUE_RULES_H
#define KERNEL_QUEUE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "config/config.h"

struct queue_rules;

/* Each kind of rules has queues of its own, one per processor: datapath.queue_base and what follows
 * for DNS, then as many for the first packets of connections. */
enum queue_rules_kind { QUEUE_RULES_DNS, QUEUE_RULES_FIRST, QUEUE_RULES_KINDS };

unsigned queue_rules_queues(void);
/* Whether packets of that kind pass while nobody reads their queue, or it is full, or are dropped.
 * First packets pass by datapath.fail: open. DNS replies do as well when the first packets of
 * connections to what they teach are looked at (endpoints.learn: dns+sni). */
bool queue_rules_pass(const struct config *config, enum queue_rules_kind kind);

/* What of this the rules show to the scout: enum showing of bpf/abi.h, for steer, who marks what he
 * has seen enough of. */
uint32_t queue_rules_shown(const struct config *config);

/* Adds what endpoints.learn asks for, IPv4 and IPv6:
 *  - dns: what leaves with source port 53 towards datapath.inside, forwarded or our own;
 *  - sni: TCP from there to endpoints.ports and to port 853, as far as it is forwarded (what is
 * steered is not), until the scout has judged the connection;
 *  - both: the beginnings of QUIC to endpoints.ports, and for sni or a policy, to port 853.
 * With datapath.fail: open the kernel takes the rules away when this process dies. Else they stay,
 * and with them what queue_rules_pass says, until the next start replaces them in one transaction,
 * or takes them away. Errors are explained in why. *rules is NULL for `learn: off`. */
int queue_rules_add(const struct config *config, struct queue_rules **rules, struct why *why);
/* As the new configuration says; on failure the old rules stay. */
int queue_rules_change(struct queue_rules **rules, const struct config *config, struct why *why);
/* Takes the rules away; NULL is allowed. */
void queue_rules_remove(struct queue_rules *rules);

#endif
