// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads the kernel programs and prints how many instructions this kernel's verifier went through
 * for each: "PROGRAM INSTRUCTIONS" a line. It gives up at a million, and the count grows with
 * every branch that it cannot merge, so growth is to be seen long before. Needs root. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kernel/programs.h"

static int print_verified(const char *name, int program)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int error = bpf_obj_get_info_by_fd(program, &info, &len);

	if (error) {
		fprintf(stderr, "%s: %s\n", name, strerror(-error));
		return error;
	}
	printf("%s %u\n", name, info.verified_insns);
	return 0;
}

int main(void)
{
	const struct config_datapath config = {
		.mark = 1, .max_sources = 4096, .max_flows = 4096, .max_endpoints = 256,
		.forward = CONFIG_FORWARD_XDP};
	struct programs programs;
	struct why why = {""};
	int error;

	/* With the verifier's words when it refuses one. */
	log_open("verified", LOG_LEVEL_DEBUG);
	error = programs_load(&programs, &config, NULL, &why);
	if (error) {
		fprintf(stderr, "%s\n", why.text);
		return EXIT_FAILURE;
	}
	error = print_verified("admit", programs.admit_fd);
	if (!error)
		error = print_verified("steer", programs.steer_fd);
	if (!error)
		error = print_verified("reply", programs.reply_fd);
	if (!error)
		error = print_verified("select", programs.select_fd);
	if (!error)
		error = print_verified("guard", programs.guard_fd);
	programs_free(&programs);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
