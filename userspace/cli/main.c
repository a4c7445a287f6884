// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/say.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

static const struct command commands[] = {
	{"check", cmd_check, "tell what is wrong with a configuration, by file, line and key"},
	{"ca", cmd_ca, "make, import, export or judge the authority that clients trust"},
	{"keys", cmd_keys, "issue, list, rotate and revoke the keys of clients"},
	{"explain", cmd_explain, "which rule of the policy decides about a call, and why"},
	{"limits", cmd_limits, "show what is used of the limits, and of whom"},
	{"status", cmd_status, "show what the kernel has attached now, and the counters"},
	{"selftest", cmd_selftest, "is this machine inspecting? with what was seen, and the fix"},
	{"health", cmd_health, "tell load balancers whether clients may come"},
	{"drain", cmd_drain, "let load balancers send clients elsewhere, before maintenance"},
	{"backends", cmd_backends, "show which backends are asked now, and what came of the calls"},
	{"sources", cmd_sources, "show what the kernel counted of every source address"},
	{"top", cmd_top, "show the same, live"},
	{"metrics", cmd_metrics, "print or serve the same and all counters, for Prometheus"},
	{"upgrade", cmd_upgrade, "replace the running daemon by the program installed now"},
	{"detach", cmd_detach, "take out of the kernel what a daemon that was killed has left"},
	{"usage", cmd_usage, "tokens by source address, model and more"},
	{"events", cmd_events, "recent prompts and completions"},
	{"tail", cmd_tail, "the same, as they come"},
	{"search", cmd_search, "calls in which words were said"},
	{"conversations", cmd_conversations, "calls that belong together"},
	{"show", cmd_show, "all of one call"},
	{"export", cmd_export, "events as JSON lines or CSV"},
	{"review", cmd_review, "a link to the page that shows all of these"},
	{"audit", cmd_audit, "check that the record is whole and unchanged"},
	{"version", cmd_version, "print the version"},
};

#define COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	fprintf(out, "usage: sallyport COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < COUNT; i++)
		fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\nsallyport COMMAND --help tells more; so does sallyport(1).\n");
}

/* What could not be written was not shown, whatever the command says. */
static int run_command(const struct command *command, int argc, char **argv)
{
	int status;

	say_as(command->name);
	status = command->run(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status == 0)
		say("the output cannot be written");
	return status ? status : 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_usage(stdout);
		if (fflush(stdout) == 0)
			return 0;
		say("the output cannot be written");
		return 1;
	}
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return run_command(&commands[i], argc - 1, argv + 1);
	if (*name)
		say("there is no command \"%s\"", name);
	print_usage(stderr);
	return 2;
}
