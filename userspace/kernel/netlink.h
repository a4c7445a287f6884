/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink requests (RFC 3549): built in a small buffer, sent, answered. */
#ifndef KERNEL_NETLINK_H
#define KERNEL_NETLINK_H

#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define NETLINK_REQUEST_MAX 512

struct netlink_request {
	union {
		struct nlmsghdr header;
		char memory[NETLINK_REQUEST_MAX];
	};
};

/* Starts a request with its fixed part (struct rtmsg, fib_rule_hdr, tcmsg …). */
void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags,
	const void *fixed, size_t len);
/* Appends an attribute; -EMSGSIZE when it does not fit. */
int netlink_add(struct netlink_request *request, uint16_t type, const void *data, size_t len);
int netlink_add_u32(struct netlink_request *request, uint16_t type, uint32_t value);

/* The attributes that follow a fixed part of fixed_len bytes; those up to max are put into
 * table[type], others are left NULL. Broken ones end the list. */
void netlink_attributes(
	const struct nlmsghdr *header, size_t fixed_len, const struct rtattr **table, size_t max);
/* The value of an attribute of 1 or 4 bytes; 0 when it is NULL or too short. */
uint32_t netlink_u32(const struct rtattr *attribute);
uint8_t netlink_u8(const struct rtattr *attribute);

/* fd of a NETLINK_ROUTE socket with strict checking of dump requests, or a negative errno. */
int netlink_open(void);
/* Sends and waits for the acknowledgement: 0, or the kernel's negative errno. */
int netlink_do(int fd, struct netlink_request *request);
/* Sends and calls each for every message of the dump: 0, or a negative errno. */
int netlink_dump(int fd, struct netlink_request *request,
	void (*each)(void *context, const struct nlmsghdr *header), void *context);

#endif
