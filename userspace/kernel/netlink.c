/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX 65536

void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags,
	const void *fixed, size_t len)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	request->header.nlmsg_len = (uint32_t)(NLMSG_SPACE(len));
	memcpy(request->memory + NLMSG_HDRLEN, fixed, len);
}

int netlink_add(struct netlink_request *request, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr attribute = {
		.rta_len = (uint16_t)(RTA_LENGTH(0) + len),
		.rta_type = type,
	};

	if (len > NETLINK_REQUEST_MAX || at + RTA_LENGTH(0) + RTA_ALIGN(len) > NETLINK_REQUEST_MAX)
		return -EMSGSIZE;
	memcpy(request->memory + at, &attribute, sizeof(attribute));
	memcpy(request->memory + at + RTA_LENGTH(0), data, len);
	request->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(0) + RTA_ALIGN(len));
	return 0;
}

int netlink_add_u32(struct netlink_request *request, uint16_t type, uint32_t value)
{
	return netlink_add(request, type, &value, sizeof(value));
}

void netlink_attributes(
	const struct nlmsghdr *header, size_t fixed_len, const struct rtattr **table, size_t max)
{
	const char *at = (const char *)header + NLMSG_SPACE(fixed_len);
	const char *end = (const char *)header + header->nlmsg_len;

	memset(table, 0, (max + 1) * sizeof(*table));
	while (at < end && (size_t)(end - at) >= sizeof(struct rtattr)) {
		const struct rtattr *attribute = (const void *)at;
		size_t type =
			attribute->rta_type & 0x3fffU /* without the nested and byte order bits */;

		if (attribute->rta_len < RTA_LENGTH(0) || attribute->rta_len > end - at)
			return;
		if (type <= max)
			table[type] = attribute;
		at += RTA_ALIGN(attribute->rta_len);
	}
}

uint32_t netlink_u32(const struct rtattr *attribute)
{
	uint32_t value = 0;

	if (attribute && attribute->rta_len >= RTA_LENGTH(0) + sizeof(value))
		memcpy(&value, (const char *)attribute + RTA_LENGTH(0), sizeof(value));
	return value;
}

uint8_t netlink_u8(const struct rtattr *attribute)
{
	uint8_t value = 0;

	if (attribute && attribute->rta_len >= RTA_LENGTH(0) + sizeof(value))
		memcpy(&value, (const char *)attribute + RTA_LENGTH(0), sizeof(value));
	return value;
}

int netlink_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int on = 1;

	if (fd < 0)
		return -errno;
	/* Kernel 4.20 and newer: without it dumps of one table would return all tables. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int netlink_send(int fd, struct netlink_request *request)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do
		sent = sendto(fd, request->memory, request->header.nlmsg_len, 0,
			(const struct sockaddr *)&kernel, sizeof(kernel));
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* 1 while more is to come, 0 at the end, negative on error. */
static int answer_take(const char *answer, size_t len,
	void (*each)(void *context, const struct nlmsghdr *header), void *context)
{
	const struct nlmsghdr *header = (const void *)answer;
	unsigned left = (unsigned)len;

	for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		/* A dump's end may carry an error as well: its body begins with one, too. */
		if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
			int error = 0;

			if (header->nlmsg_len >= NLMSG_HDRLEN + sizeof(error))
				memcpy(&error, NLMSG_DATA(header), sizeof(error));
			return error < 0 ? error : 0;
		}
		if (each)
			each(context, header);
	}
	return 1;
}

static int netlink_answer(
	int fd, void (*each)(void *context, const struct nlmsghdr *header), void *context)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	int result;

	do {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);

		if (got < 0 && errno == EINTR) {
			result = 1;
			continue;
		}
		if (got < 0)
			return -errno;
		result = answer_take(answer, (size_t)got, each, context);
	} while (result > 0);
	return result;
}

int netlink_do(int fd, struct netlink_request *request)
{
	int error;

	request->header.nlmsg_flags |= NLM_F_ACK;
	error = netlink_send(fd, request);
	return error ? error : netlink_answer(fd, NULL, NULL);
}

int netlink_dump(int fd, struct netlink_request *request,
	void (*each)(void *context, const struct nlmsghdr *header), void *context)
{
	int error;

	request->header.nlmsg_flags |= NLM_F_DUMP;
	error = netlink_send(fd, request);
	return error ? error : netlink_answer(fd, each, context);
}
