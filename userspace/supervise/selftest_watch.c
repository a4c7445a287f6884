// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/selftest_watch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "supervise/accounting.h"
#include "supervise/selftest_word.h"

/* The first line of a file that has changed; false: there is none, or it is no such file. */
static bool read_line(struct selftest_watch *watch, const char *path, char line[256])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
		memcmp(&st.st_mtim, &watch->changed, sizeof(st.st_mtim)) != 0) {
		watch->changed = st.st_mtim;
		n = read(fd, line, 255);
	}
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return *line;
}

void selftest_watch_look(
	struct selftest_watch *watch, const char *run_directory, struct accounting *accounting)
{
	const size_t failed = strlen(SELFTEST_FAILED_WORD);
	char path[PATH_MAX], line[256];

	if (snprintf(path, sizeof(path), "%s/" SELFTEST_FILE, run_directory) >= (int)sizeof(path) ||
		!read_line(watch, path, line) || strcmp(line, watch->said) == 0)
		return;
	snprintf(watch->said, sizeof(watch->said), "%s", line);
	if (strncmp(line, SELFTEST_FAILED_WORD, failed) == 0) {
		accounting_state(accounting, "selftest", "failed", line + failed);
		log_warning("the selftest failed: %s", log_quote(slice_of_string(line + failed)).text);
	} else if (strcmp(line, SELFTEST_GOOD_WORD) == 0) {
		accounting_state(accounting, "selftest", "good", NULL);
		log_info("the selftest is good");
	}
}
