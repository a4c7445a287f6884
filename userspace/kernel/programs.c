/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/admit.skel.h"
#include "bpf/guard.skel.h"
#include "bpf/reply.skel.h"
#include "bpf/select.skel.h"
#include "bpf/steer.skel.h"

/* libbpf tells much that is no error, such as the probing of features. */
/* A verifier's log is one message of many lines: its end has the reason. */
#define LIBBPF_BYTES (1u << 20)
#define LIBBPF_LINES 24

static void libbpf_log(char *text)
{
	size_t skip = 0;

	for (const char *at = text; *at; at++)
		skip += *at == '\n';
	skip = skip > LIBBPF_LINES ? skip - LIBBPF_LINES : 0;
	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text))
		if (skip == 0 || skip-- == 0)
			log_debug("%s", line);
}

static int libbpf_line(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text = level == LIBBPF_DEBUG ? NULL : malloc(LIBBPF_BYTES);

	if (!text)
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, LIBBPF_BYTES, format, arguments);
#pragma GCC diagnostic pop
	libbpf_log(text);
	free(text);
	return 0;
}

void programs_quiet(void)
{
	libbpf_set_print(libbpf_line);
}

static uint32_t map_size(const struct config_datapath *config, const char *name)
{
	if (strcmp(name, "sources") == 0 || strcmp(name, "limits") == 0 ||
		strcmp(name, "actives") == 0)
		return config->max_sources;
	if (strcmp(name, "flows") == 0)
		return config->max_flows;
	if (strcmp(name, "endpoints") == 0 || strcmp(name, "prefixes") == 0)
		return config->max_endpoints;
	return 0;
}

/* State that outlives an unclean stop or an upgrade; the rest comes from the configuration. */
static bool map_adopted(const char *name)
{
	static const char *const names[] = {"sources", "endpoints", "flows", "judgements", "flood",
		"limits", "actives", "heartbeats", "workers", "settings", "beside_interfaces",
		"outcomes"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void map_adopt(struct bpf_map *map, const struct pins *pins)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, bpf_map__name(map));

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == bpf_map__type(map) &&
		info.key_size == bpf_map__key_size(map) &&
		info.value_size == bpf_map__value_size(map) &&
		info.max_entries == bpf_map__max_entries(map) &&
		info.map_flags == bpf_map__map_flags(map))
		bpf_map__reuse_fd(map, fd);
	close(fd);
}

static bool map_is_rodata(const struct bpf_map *map)
{
	return strchr(bpf_map__name(map), '.') != NULL;
}

/* steer is loaded first and makes the maps; the others are given them. */
static int maps_prepare(
	struct bpf_object *object, const struct config_datapath *config, const struct pins *pins)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		uint32_t size = map_size(config, name);
		int error;

		if (map_is_rodata(map))
			continue;
		if (size && (error = bpf_map__set_max_entries(map, size)))
			return error;
		if (pins && map_adopted(name))
			map_adopt(map, pins);
	}
	return 0;
}

static int maps_share(struct bpf_object *object, const struct bpf_object *owner)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		int error, fd;

		if (map_is_rodata(map))
			continue;
		fd = bpf_object__find_map_fd_by_name(owner, bpf_map__name(map));
		error = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);
		if (error)
			return error;
	}
	return 0;
}

static int load_failed(const char *program, int error, struct why *why)
{
	if (error == -EPERM)
		return why_set(why, EPERM,
			"the kernel refuses BPF programs: run as root (CAP_BPF, CAP_NET_ADMIN)");
	if (error == -ENOMEM)
		return why_set(why, ENOMEM,
			"%s: no memory for its maps; lower datapath.max_sources, .max_flows or "
			".max_endpoints",
			program);
	return why_set(why, -error,
		"%s cannot be loaded: %s; a kernel of 6.1 or newer with CONFIG_BPF_SYSCALL, "
		"CONFIG_BPF_JIT and CONFIG_NET_CLS_BPF is needed (the log at debug level has the "
		"kernel's words)",
		program, strerror(-error));
}

static int steer_load(
	struct programs *programs, const struct config_datapath *config, const struct pins *pins)
{
	int error;

	programs->steer = steer_bpf__open();
	if (!programs->steer)
		return -errno;
	programs->steer->rodata->steer_mark = config->mark;
	error = maps_prepare(programs->steer->obj, config, pins);
	return error ? error : steer_bpf__load(programs->steer);
}

static int admit_load(struct programs *programs, const struct config_datapath *config)
{
	int error;

	programs->admit = admit_bpf__open();
	if (!programs->admit)
		return -errno;
	programs->admit->rodata->admit_forwards = config->forward == CONFIG_FORWARD_XDP;
	error = maps_share(programs->admit->obj, programs->steer->obj);
	return error ? error : admit_bpf__load(programs->admit);
}

static int reply_load(struct programs *programs)
{
	int error;

	programs->reply = reply_bpf__open();
	if (!programs->reply)
		return -errno;
	error = maps_share(programs->reply->obj, programs->steer->obj);
	return error ? error : reply_bpf__load(programs->reply);
}

static int select_load(struct programs *programs)
{
	int error;

	programs->select = select_bpf__open();
	if (!programs->select)
		return -errno;
	error = maps_share(programs->select->obj, programs->steer->obj);
	return error ? error : select_bpf__load(programs->select);
}

static int guard_load(struct programs *programs, const struct config_datapath *config,
	bool ethernet, struct guard_bpf **guard)
{
	int error;

	*guard = guard_bpf__open();
	if (!*guard)
		return -errno;
	(*guard)->rodata->guard_inside = config->inside ? if_nametoindex(config->inside) : 0;
	(*guard)->rodata->guard_mark = config->mark;
	(*guard)->rodata->guard_ethernet = ethernet;
	error = maps_share((*guard)->obj, programs->steer->obj);
	return error ? error : guard_bpf__load(*guard);
}

int programs_load(struct programs *programs, const struct config_datapath *config,
	const struct pins *pins, struct why *why)
{
	const char *name = "steer";
	int error;

	memset(programs, 0, sizeof(*programs));
	programs_quiet();
	error = steer_load(programs, config, pins);
	if (!error) {
		name = "admit";
		error = admit_load(programs, config);
	}
	if (!error) {
		name = "reply";
		error = reply_load(programs);
	}
	if (!error) {
		name = "select";
		error = select_load(programs);
	}
	if (!error) {
		name = "guard";
		error = guard_load(programs, config, true, &programs->guard);
	}
	if (!error)
		error = guard_load(programs, config, false, &programs->guard_bare);
	if (error) {
		load_failed(name, error, why);
		programs_free(programs);
		return error;
	}
#define MAPS_FD(name) programs->maps.name = bpf_map__fd(programs->steer->maps.name);
	MAPS(MAPS_FD)
	programs->admit_fd = bpf_program__fd(programs->admit->progs.sally_admit);
	programs->steer_fd = bpf_program__fd(programs->steer->progs.sally_steer);
	programs->reply_fd = bpf_program__fd(programs->reply->progs.sally_reply);
	programs->select_fd = bpf_program__fd(programs->select->progs.sally_select);
	programs->guard_fd = bpf_program__fd(programs->guard->progs.sally_guard);
	programs->guard_bare_fd = bpf_program__fd(programs->guard_bare->progs.sally_guard);
	return 0;
}

int programs_pin(const struct programs *programs, const struct pins *pins, struct why *why)
{
	int error = 0;

#define MAPS_PIN(name)                                                                             \
	if (!error)                                                                                \
		error = pins_put(pins, #name, programs->maps.name);
	MAPS(MAPS_PIN)
	if (error)
		return why_set(why, -error, "maps cannot be pinned under %s: %s", pins->directory,
			strerror(-error));
	return 0;
}

void programs_free(struct programs *programs)
{
	admit_bpf__destroy(programs->admit);
	steer_bpf__destroy(programs->steer);
	reply_bpf__destroy(programs->reply);
	select_bpf__destroy(programs->select);
	guard_bpf__destroy(programs->guard);
	guard_bpf__destroy(programs->guard_bare);
	memset(programs, 0, sizeof(*programs));
}
