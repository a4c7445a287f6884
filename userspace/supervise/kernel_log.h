/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SUPERVISE_KERNEL_LOG_H
#define SUPERVISE_KERNEL_LOG_H

#include <sys/types.h>

#include "base/slice.h"

/* The number of the system call for which seccomp killed that process, by the kernel's audit record
 * in its log; -1: none there (an audit daemon takes them, or the log is closed to us). May sleep
 * for some hundredths of a second, because the record comes a little after the process ended. */
long kernel_log_refused_call(pid_t pid);
/* The same for one line of the log; -1: not about that. */
long kernel_log_parse(struct slice line, pid_t pid);

#endif
