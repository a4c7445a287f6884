// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/option.h"
#include "cli/say.h"
#include "config/config.h"
#include "supervise/upgrade_word.h"

/* The trial, the start of all processes and a reload that is under way, each at its worst. */
#define UPGRADE_NS (180 * NS_PER_S)

static const char usage[] =
	"usage: sallyport upgrade [--config FILE]\n"
	"\n"
	"Lets the running sallyportd be replaced by the program that is now installed in its "
	"place,\n"
	"with the configuration as it is now. No connection is cut, and none is refused "
	"meanwhile.\n"
	"The exit status is 1 when the upgrade was refused; then what ran before goes on.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n";

struct daemon {
	const char *directory; /* appliance.run_directory */
	char word[PATH_MAX];   /* the path of UPGRADE_WORD_FILE */
	struct stat lock;
	pid_t pid;
	int pidfd;
};

static int path_in(const char *directory, const char *name, char path[PATH_MAX], struct why *why)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", directory, name);

	return n < 0 || n >= PATH_MAX
		       ? why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long")
		       : 0;
}

/* ---- the daemon that runs ---- */

/* The pid that whoever holds the lock has written into it. */
static int read_lock(struct daemon *daemon, struct why *why)
{
	char path[PATH_MAX], text[16] = "", *end;
	int error = path_in(daemon->directory, "lock", path, why);
	int fd = error ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held;
	long pid;

	if (error)
		return error;
	if (fd < 0 && errno == ENOENT)
		return why_set(why, ESRCH, "no sallyportd runs in %s", daemon->directory);
	if (fd < 0 || fstat(fd, &daemon->lock) < 0) {
		error = why_set(why, errno, "cannot read %s: %m", path);
	} else {
		held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
		pid = read(fd, text, sizeof(text) - 1) > 0 ? strtol(text, &end, 10) : 0;
		daemon->pid = (pid_t)pid;
		if (!held)
			error = why_set(why, ESRCH, "no sallyportd runs in %s", daemon->directory);
		else if (pid <= 1 || pid > INT_MAX || *end != '\n')
			error = why_set(why, EINVAL, "%s does not name a process", path);
	}
	if (fd >= 0)
		close(fd);
	return error;
}

/* The pid could be of a process that has nothing to do with the file. */
static int holds_lock(const struct daemon *daemon, struct why *why)
{
	char path[64];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon->pid);
	fds = opendir(path);
	if (!fds)
		return why_set(why, errno, "cannot look at process %d: %m%s", (int)daemon->pid,
			errno == EACCES ? "; run this as root" : "");
	while (!found && (entry = readdir(fds)))
		found = fstatat(dirfd(fds), entry->d_name, &st, 0) == 0 &&
			st.st_dev == daemon->lock.st_dev && st.st_ino == daemon->lock.st_ino;
	closedir(fds);
	return found ? 0
		     : why_set(why, ESRCH, "process %d is not the sallyportd of %s",
			       (int)daemon->pid, daemon->directory);
}

/* To one that does not know the signal it would be the end. */
static int catches_signal(const struct daemon *daemon, struct why *why)
{
	struct buf text = BUF_EMPTY;
	unsigned long long caught = 0;
	const char *line;
	char path[64];
	int error;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
	error = file_read(path, 65536, &text, why);
	if (!error && !buf_append(&text, "", 1)) {
		line = strstr(buf_slice(&text).data, "\nSigCgt:");
		if (line)
			caught = strtoull(line + strlen("\nSigCgt:"), NULL, 16);
	}
	buf_free(&text);
	if (error || caught >> (SIGUSR2 - 1) & 1)
		return error;
	return why_set(why, ENOTSUP,
		"the sallyportd that runs (pid %d) is of a version that cannot be replaced while "
		"it runs, or it has just been started: try again, or restart it",
		(int)daemon->pid);
}

static int find_daemon(struct daemon *daemon, struct why *why)
{
	int error = path_in(daemon->directory, UPGRADE_WORD_FILE, daemon->word, why);

	if (!error)
		error = read_lock(daemon, why);
	if (error)
		return error;
	/* First this: afterwards the pid cannot become somebody else's unseen. */
	daemon->pidfd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
	if (daemon->pidfd < 0)
		return why_set(why, errno, "process %d, which %s/lock names: %m", (int)daemon->pid,
			daemon->directory);
	error = holds_lock(daemon, why);
	return error ? error : catches_signal(daemon, why);
}

/* ---- the upgrade ---- */

struct word {
	char text[1024];
};

/* False: it is not there yet. The daemon renames it into its place when it is whole. */
static bool read_word(const struct daemon *daemon, struct word *word)
{
	int fd = open(daemon->word, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, word->text, sizeof(word->text) - 1);
	close(fd);
	word->text[n > 0 ? n : 0] = '\0';
	word->text[strcspn(word->text, "\n")] = '\0';
	return true;
}

static int wait_for_word(const struct daemon *daemon, struct word *word, struct why *why)
{
	struct pollfd end = {.fd = daemon->pidfd, .events = POLLIN};
	uint64_t until_ns = clock_monotonic_ns() + UPGRADE_NS;

	while (!read_word(daemon, word)) {
		if (poll(&end, 1, 50) > 0)
			return read_word(daemon, word)
				       ? 0
				       : why_set(why, ESRCH,
						 "sallyportd (pid %d) ended meanwhile: its log "
						 "tells why",
						 (int)daemon->pid);
		if (clock_monotonic_ns() > until_ns)
			return why_set(why, ETIMEDOUT,
				"sallyportd (pid %d) has not said in %llu s what became of the "
				"upgrade: see its log",
				(int)daemon->pid, (unsigned long long)(UPGRADE_NS / NS_PER_S));
	}
	return 0;
}

static int upgrade(struct daemon *daemon, struct why *why)
{
	struct word word;
	int error = find_daemon(daemon, why);

	if (!error && unlink(daemon->word) < 0 && errno != ENOENT)
		error = why_set(why, errno, "cannot remove %s: %m", daemon->word);
	if (!error && syscall(SYS_pidfd_send_signal, daemon->pidfd, SIGUSR2, NULL, 0) < 0)
		error = why_set(
			why, errno, "cannot tell sallyportd (pid %d): %m", (int)daemon->pid);
	if (!error)
		error = wait_for_word(daemon, &word, why);
	if (error)
		return error;
	if (strncmp(word.text, UPGRADE_WORD_DONE, strlen(UPGRADE_WORD_DONE)) == 0)
		printf("sallyportd %s has taken over (pid %d)\n",
			word.text + strlen(UPGRADE_WORD_DONE), (int)daemon->pid);
	else if (strncmp(word.text, UPGRADE_WORD_REFUSED, strlen(UPGRADE_WORD_REFUSED)) == 0)
		error = why_set(why, EINVAL, "the upgrade was refused: %s",
			word.text + strlen(UPGRADE_WORD_REFUSED));
	else
		error = why_set(why, EINVAL, "%s: not understood", daemon->word);
	return error;
}

static void tell(void *context, const char *problem)
{
	(void)context;
	fprintf(stderr, "%s\n", problem);
}

int cmd_upgrade(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	const struct option_row rows[] = {{'c', "config", NULL, &path}};
	struct daemon daemon = {.pidfd = -1};
	struct config *config = NULL;
	struct why why = {""};
	int error, status = option_read(argc, argv, usage, rows, 1);

	if (status >= 0)
		return status;
	error = config_load(path, &config, &why);
	/* It would be refused, with these words in the log only. */
	if (!error && config_check_system(path, config, tell, NULL))
		error = why_set(&why, EINVAL,
			"%s cannot be used, so nothing is upgraded: what runs goes on", path);
	if (!error) {
		daemon.directory = config->appliance.run_directory;
		error = upgrade(&daemon, &why);
		if (daemon.pidfd >= 0)
			close(daemon.pidfd);
	}
	if (error)
		say("%s", why.text);
	config_free(config);
	return error || fflush(stdout) ? 1 : 0;
}
