/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands of sallyport, one file each; main.c has the table. argv[0] is the subcommand's
 * name. They return the exit status: 0, 1 when something failed (said on standard error), 2 for
 * wrong usage. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

int cmd_ca(int argc, char **argv);
int cmd_search(int argc, char **argv);
int cmd_conversations(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_backends(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_health(int argc, char **argv);
int cmd_limits(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_review(int argc, char **argv);
int cmd_selftest(int argc, char **argv);
int cmd_sources(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_tail(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_upgrade(int argc, char **argv);
int cmd_usage(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
