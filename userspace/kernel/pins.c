/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/abi.h"

static int pin_path(const struct pins *pins, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/%s", pins->directory, name);

	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int pins_name(struct pins *pins, const char *bpf_directory)
{
	int len;

	pins->lock = -1;
	len = snprintf(pins->root, sizeof(pins->root), "%s", bpf_directory);
	if (len < 0 || (size_t)len >= sizeof(pins->root) - 32)
		return -ENAMETOOLONG;
	/* A pin under ".../name/" is one under ".../name". */
	while (len > 1 && pins->root[len - 1] == '/')
		pins->root[--len] = '\0';
	memcpy(pins->directory, pins->root, (size_t)len);
	snprintf(pins->directory + len, sizeof(pins->directory) - (size_t)len, "/v%d",
		SALLYPORT_ABI);
	return 0;
}

/* The directory, or where it would be made: the parent of what does not exist. */
static int on_bpffs(const struct pins *pins, struct why *why)
{
	char path[PATH_MAX];
	struct statfs fs;
	char *slash;

	memcpy(path, pins->root, sizeof(path));
	while (statfs(path, &fs) < 0) {
		if (errno != ENOENT || !(slash = strrchr(path, '/')) || slash == path)
			return why_set(why, errno, "%s: %s", path, strerror(errno));
		*slash = '\0';
	}
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	return why_set(why, EINVAL,
		"%s is not on a BPF file system: mount it (mount -t bpf bpf /sys/fs/bpf), or, "
		"inside "
		"`ip netns exec`, which hides it, use nsenter --net=…; datapath.bpf_directory "
		"names "
		"the place",
		pins->root);
}

static int make_directory(const char *path, struct why *why)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return why_set(why, errno, "%s cannot be made: %s", path, strerror(errno));
}

static void pins_empty(const struct pins *pins)
{
	DIR *directory = opendir(pins->directory);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			pins_drop(pins, entry->d_name);
	if (directory)
		closedir(directory);
}

static int lock_directory(const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

	if (fd < 0)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	error = errno;
	close(fd);
	if (error != EWOULDBLOCK)
		return why_set(why, error, "%s cannot be locked: %s", path, strerror(error));
	return why_set(why, EBUSY,
		"%s belongs to another running appliance, perhaps in another network namespace; "
		"choose another datapath.bpf_directory",
		path);
}

/* Takes the links out of the directory of another version, so that its programs are replaced
 * without a moment in between; its maps mean something else, and go. */
static int inherit(const struct pins *pins, const char *version, struct why *why)
{
	struct pins other = *pins;
	struct dirent *entry;
	DIR *directory;
	int len = snprintf(other.directory, sizeof(other.directory), "%s/%s", pins->root, version);

	if (len < 0 || (size_t)len >= sizeof(other.directory))
		return why_set(why, ENAMETOOLONG, "datapath.bpf_directory is too long");
	other.lock = lock_directory(other.directory, why);
	if (other.lock < 0)
		return other.lock;
	directory = opendir(other.directory);
	while (directory && (entry = readdir(directory))) {
		char from[PATH_MAX], to[PATH_MAX];

		if (strncmp(entry->d_name, "link_", 5) != 0 ||
			pin_path(&other, entry->d_name, from) || pin_path(pins, entry->d_name, to))
			continue;
		if (rename(from, to) < 0)
			log_warning("%s cannot be taken over: %s", from, strerror(errno));
	}
	if (directory)
		closedir(directory);
	log_info("%s: programs of another version are replaced; what they counted is gone",
		other.directory);
	pins_empty(&other);
	rmdir(other.directory);
	close(other.lock);
	return 0;
}

static int inherit_all(const struct pins *pins, struct why *why)
{
	const char *ours = pins->directory + strlen(pins->root) + 1;
	DIR *root = opendir(pins->root);
	struct dirent *entry;
	int error = 0;

	while (root && !error && (entry = readdir(root)))
		if (entry->d_name[0] == 'v' && strcmp(entry->d_name, ours) != 0)
			error = inherit(pins, entry->d_name, why);
	if (root)
		closedir(root);
	return error;
}

int pins_open(struct pins *pins, const char *bpf_directory, struct why *why)
{
	int error = pins_name(pins, bpf_directory);

	if (error)
		return why_set(why, -error, "datapath.bpf_directory is too long");
	error = on_bpffs(pins, why);
	if (!error)
		error = make_directory(pins->root, why);
	if (!error)
		error = make_directory(pins->directory, why);
	if (error)
		return error;
	pins->lock = lock_directory(pins->directory, why);
	if (pins->lock < 0)
		return pins->lock;
	error = inherit_all(pins, why);
	if (error) {
		pins_rmdir(pins);
		pins_close(pins);
	}
	return error;
}

void pins_close(struct pins *pins)
{
	if (pins->lock >= 0)
		close(pins->lock);
	pins->lock = -1;
}

void pins_rmdir(const struct pins *pins)
{
	rmdir(pins->directory);
	rmdir(pins->root);
}

void pins_remove(const struct pins *pins)
{
	pins_empty(pins);
	pins_rmdir(pins);
}

int pins_get_restricted(const struct pins *pins, const char *name, uint32_t flags)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = flags);
	char path[PATH_MAX];
	int error = pin_path(pins, name, path);

	return error ? error : bpf_obj_get_opts(path, &options);
}

int pins_get(const struct pins *pins, const char *name)
{
	return pins_get_restricted(pins, name, 0);
}

int pins_put(const struct pins *pins, const char *name, int fd)
{
	char path[PATH_MAX];
	int error = pin_path(pins, name, path);

	if (error)
		return error;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path);
}

void pins_drop(const struct pins *pins, const char *name)
{
	char path[PATH_MAX];

	if (pin_path(pins, name, path) == 0)
		unlink(path);
}
