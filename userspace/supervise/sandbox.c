// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "supervise/landlock.h"

#define SIGNER	(1u << ROLE_SIGNER)
#define WORKER	(1u << ROLE_WORKER)
#define SHIPPER (1u << ROLE_SHIPPER)
#define SCOUT	(1u << ROLE_SCOUT)
#define KEEPER	(1u << ROLE_KEEPER)
#define NETWORK (WORKER | SHIPPER | SCOUT | KEEPER)
#define ALL	(SIGNER | NETWORK)

/* What an argument must be for the call to be allowed. */
enum condition {
	ANY,
	NOT_EXECUTABLE, /* memory protection without PROT_EXEC */
	INTERNET,	/* an address family of the internet */
	LOCAL,		/* that of sockets on this machine */
	READ_ONLY,	/* openat of something that exists, for reading */
	SOCKET_IOCTL,	/* FIONREAD, FIONBIO */
	MAP_ELEMENT,	/* BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, of a map that is open */
	ITSELF,		/* a signal to this process: abort(3) */
};

struct call {
	const char *name;
	unsigned roles;
	enum condition condition;
};

/* All that the children may ask of the kernel after their start. A call that a machine or an older
 * libseccomp does not know is left out. */
static const struct call calls[] = {
	/* time, memory, the end */
	{"clock_gettime", ALL, ANY},
	{"clock_nanosleep", ALL, ANY},
	{"nanosleep", ALL, ANY},
	{"gettimeofday", ALL, ANY},
	{"time", ALL, ANY},
	{"getrandom", ALL, ANY},
	{"brk", ALL, ANY},
	{"mmap", ALL, NOT_EXECUTABLE},
	{"mmap2", ALL, NOT_EXECUTABLE},
	{"mprotect", ALL, NOT_EXECUTABLE},
	{"mremap", ALL, ANY},
	{"munmap", ALL, ANY},
	{"madvise", ALL, ANY},
	{"futex", ALL, ANY},
	{"sysinfo", ALL, ANY}, /* qsort(3) asks how much memory there is */
	{"sched_yield", ALL, ANY},
	{"sched_getaffinity", ALL, ANY},
	{"getpid", ALL, ANY},
	{"gettid", ALL, ANY},
	{"getuid", ALL, ANY}, /* OPENSSL_issetugid and secure_getenv */
	{"geteuid", ALL, ANY},
	{"getgid", ALL, ANY},
	{"getegid", ALL, ANY},
	{"getrusage", ALL, ANY},
	{"rt_sigaction", ALL, ANY},
	{"rt_sigprocmask", ALL, ANY},
	{"rt_sigreturn", ALL, ANY},
	{"restart_syscall", ALL, ANY},
	{"tgkill", ALL, ITSELF},
	{"exit", ALL, ANY},
	{"exit_group", ALL, ANY},
	/* descriptors that are open */
	{"read", ALL, ANY},
	{"readv", ALL, ANY},
	{"pread64", ALL, ANY},
	{"write", ALL, ANY},
	{"writev", ALL, ANY},
	{"close", ALL, ANY},
	{"fcntl", ALL, ANY},
	{"fcntl64", ALL, ANY},
	{"dup", ALL, ANY},
	{"lseek", ALL, ANY},
	{"fstat", ALL, ANY},
	{"newfstatat", ALL, ANY}, /* fstat(3) of glibc */
	{"statx", ALL, ANY},
	{"ioctl", ALL, SOCKET_IOCTL},
	{"poll", ALL, ANY},
	{"ppoll", ALL, ANY},
	{"epoll_create1", ALL, ANY},
	{"epoll_ctl", ALL, ANY},
	{"epoll_wait", ALL, ANY},
	{"epoll_pwait", ALL, ANY},
	{"eventfd2", ALL, ANY},
	{"timerfd_create", ALL, ANY},
	{"timerfd_settime", ALL, ANY},
	/* messages with the parent and among each other */
	{"sendmsg", ALL, ANY},
	{"recvmsg", ALL, ANY},
	{"sendto", ALL, ANY},
	{"recvfrom", ALL, ANY},
	{"getsockopt", ALL, ANY},
	/* the network */
	{"socket", NETWORK, INTERNET},
	{"connect", NETWORK, ANY},
	{"bind", NETWORK, ANY},
	{"setsockopt", NETWORK, ANY},
	{"getsockname", NETWORK, ANY},
	{"getpeername", NETWORK, ANY},
	{"shutdown", NETWORK, ANY},
	{"sendmmsg", NETWORK, ANY},
	{"recvmmsg", NETWORK, ANY},
	{"accept4", WORKER, ANY},
	{"accept", WORKER, ANY},
	{"pipe2", WORKER, ANY}, /* bypassed flows are spliced */
	{"splice", WORKER, ANY},
	/* the resolver's files; which, landlock says */
	{"openat", WORKER | SCOUT | KEEPER, READ_ONLY},
	{"open", WORKER | SCOUT | KEEPER, READ_ONLY},
	{"uname", WORKER | SCOUT | KEEPER, ANY},
	/* what was judged of connections */
	{"bpf", SCOUT, MAP_ELEMENT},
	{"socket", SHIPPER, LOCAL}, /* of the collector */
	/* the spool */
	{"openat", SHIPPER, ANY},
	{"getdents64", SHIPPER, ANY},
	{"preadv", SHIPPER, ANY},
	{"pwrite64", SHIPPER, ANY},
	{"pwritev", SHIPPER, ANY},
	{"ftruncate", SHIPPER, ANY},
	{"fallocate", SHIPPER, ANY},
	{"fadvise64", SHIPPER, ANY},
	{"fdatasync", SHIPPER, ANY},
	{"fsync", SHIPPER, ANY},
	{"sync_file_range", SHIPPER, ANY},
	{"flock", SHIPPER, ANY},
	{"rename", SHIPPER, ANY},
	{"renameat", SHIPPER, ANY},
	{"renameat2", SHIPPER, ANY},
	{"unlink", SHIPPER, ANY},
	{"unlinkat", SHIPPER, ANY},
	{"fstatfs", SHIPPER, ANY},
#ifdef SALLYPORT_SANITIZE
	/* the sanitizers' own, and what their reports need */
	{"sigaltstack", ALL, ANY},
	{"prctl", ALL, ANY},
	{"readlink", ALL, ANY},
	{"readlinkat", ALL, ANY},
	{"access", ALL, ANY},
	{"prlimit64", ALL, ANY},
	{"getrlimit", ALL, ANY},
	{"getppid", ALL, ANY},
	{"openat", SIGNER, READ_ONLY},
	{"open", SIGNER | SHIPPER, READ_ONLY},
	{"mlock", ALL, ANY},
	{"pipe", ALL, ANY},
	{"gettimeofday", ALL, ANY},
	{"set_robust_list", ALL, ANY},
	{"rseq", ALL, ANY},
#endif
};

#ifdef SALLYPORT_SANITIZE
/* The leak check at exit needs ptrace(2), which no role has; it is done by the tests of the parts.
 * State of the whole process by nature, and only in such builds. */
static int sandbox_entered;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return sandbox_entered;
}
#endif

const struct config_identity *sandbox_identity(enum role_kind kind, const struct config *config)
{
	switch (kind) {
	case ROLE_SIGNER:
		return &config->processes.signer;
	case ROLE_SHIPPER:
		return &config->processes.shipper;
	case ROLE_SCOUT:
		return &config->processes.scout;
	case ROLE_KEEPER:
		return &config->processes.keeper;
	default:
		return &config->processes.worker;
	}
}

struct sandbox_call sandbox_call_name(long number)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
	struct sandbox_call call;

	snprintf(call.name, sizeof(call.name), "%s", name ? name : "?");
	free(name);
	return call;
}

int sandbox_no_dump(struct why *why)
{
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return why_set(why, errno, "cannot turn core dumps off: %m");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return why_set(why, errno, "cannot make the process undumpable: %m");
	return 0;
}

static int allow(scmp_filter_ctx filter, int number, enum condition condition)
{
	static const scmp_datum_t ioctls[] = {FIONREAD, FIONBIO};
	static const scmp_datum_t families[] = {AF_INET, AF_INET6};
	static const scmp_datum_t commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM};
	const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
	int error = 0;

	switch (condition) {
	case ANY:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	case NOT_EXECUTABLE:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case INTERNET:
		for (int i = 0; i < 2 && !error; i++)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
				SCMP_A0(SCMP_CMP_EQ, families[i], 0));
		return error;
	case LOCAL:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
			SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	case SOCKET_IOCTL:
		for (int i = 0; i < 2 && !error; i++)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
				SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
		return error;
	case READ_ONLY:
		/* The flags are the third argument of openat, the second of open. */
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
			SCMP_CMP((unsigned)(number == SCMP_SYS(openat) ? 2 : 1), SCMP_CMP_MASKED_EQ,
				writing, O_RDONLY));
	case MAP_ELEMENT:
		for (int i = 0; i < 2 && !error; i++)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
				SCMP_A0(SCMP_CMP_EQ, commands[i], 0));
		return error;
	case ITSELF:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	}
	return -EINVAL;
}

static int confine_calls(enum role_kind kind, struct why *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !error; i++) {
		int number;

		if (!(calls[i].roles & (1u << kind)))
			continue;
		number = seccomp_syscall_resolve_name(calls[i].name);
		if (number < 0)
			continue;
		error = allow(filter, number, calls[i].condition);
		if (error == -EEXIST)
			error = 0;
		if (error)
			why_set(why, -error, "seccomp: cannot allow %s: %s", calls[i].name,
				strerror(-error));
	}
	if (!error) {
		/* A tree instead of a list; libseccomp before 2.5 has only lists. */
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		error = seccomp_load(filter);
		if (error)
			why_set(why, -error,
				"seccomp: cannot load the filter: %s (is CONFIG_SECCOMP_FILTER "
				"set?)",
				strerror(-error));
	}
	seccomp_release(filter);
	return error;
}

/* The kernel asks who gives a verdict on a queued packet for it, each time. */
static uint32_t capabilities_kept(enum role_kind kind, const struct config *config)
{
	return kind == ROLE_SCOUT && config->endpoints.learn != CONFIG_LEARN_OFF
		       ? 1u << CAP_NET_ADMIN
		       : 0;
}

static int drop_capabilities(uint32_t kept, struct why *why)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {
		{.effective = kept, .permitted = kept}};

	if (syscall(SYS_capset, &head, sets) < 0)
		return why_set(why, errno, "cannot drop the capabilities: %m");
	if (syscall(SYS_capget, &head, sets) < 0)
		return why_set(why, errno, "cannot read the capabilities: %m");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t may = i == 0 ? kept : 0;

		if (sets[i].effective != may || sets[i].permitted != may || sets[i].inheritable)
			return why_set(why, EPERM, "capabilities are left after they were dropped");
	}
	return 0;
}

/* While still capable of it: nothing that this process does later can give it a capability. */
static int lock_capabilities(bool keep, struct why *why)
{
	const unsigned long secure = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
				     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				     SECBIT_NO_CAP_AMBIENT_RAISE |
				     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED |
				     (keep ? SECBIT_KEEP_CAPS : 0);

	for (unsigned long capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0)
			break; /* after the kernel's last one */
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return why_set(why, errno,
				"cannot drop capability %lu from the bounding set: %m", capability);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return why_set(why, errno, "cannot clear the ambient capabilities: %m");
	if (prctl(PR_SET_SECUREBITS, secure, 0, 0, 0) < 0)
		return why_set(why, errno, "cannot lock the secure bits: %m");
	return 0;
}

static int change_identity(const struct config_identity *to, struct why *why)
{
	if (to->uid == 0 || to->gid == 0)
		return why_set(
			why, EPERM, "the role may not run as root: set its user under 'processes'");
	if (setgroups(0, NULL) < 0 || setresgid(to->gid, to->gid, to->gid) < 0 ||
		setresuid(to->uid, to->uid, to->uid) < 0)
		return why_set(why, errno, "cannot become user %u, group %u: %m", (unsigned)to->uid,
			(unsigned)to->gid);
	if (setresuid(0, 0, 0) == 0 || getuid() != to->uid || geteuid() != to->uid ||
		getgid() != to->gid || getegid() != to->gid)
		return why_set(why, EPERM, "root could be taken back after it was dropped");
	return 0;
}

/* Keeps keys out of the swap: everything that the signer or the keeper has and, where the limit can be
 * lifted for the time after its privileges, will have. */
static void lock_memory(void)
{
#ifndef SALLYPORT_SANITIZE /* their shadow memory is terabytes */
	static const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	int later = setrlimit(RLIMIT_MEMLOCK, &all) == 0 ? MCL_FUTURE : 0;

	if (mlockall(MCL_CURRENT | MCL_ONFAULT | later) < 0)
		log_info("memory cannot be locked (%s): keep the swap encrypted", strerror(errno));
#endif
}

static int confine_files(enum role_kind kind, const struct config *config, struct why *why)
{
	struct landlock_path paths[4];
	size_t n = 0;

	if (kind == ROLE_WORKER || kind == ROLE_SCOUT || kind == ROLE_KEEPER)
		paths[n++] = (struct landlock_path){"/etc", LANDLOCK_PATH_READ};
	if (kind == ROLE_SHIPPER)
		paths[n++] =
			(struct landlock_path){config->audit.spool_directory, LANDLOCK_PATH_SPOOL};
#ifdef SALLYPORT_SANITIZE
	paths[n++] = (struct landlock_path){"/", LANDLOCK_PATH_READ};
#endif
	return landlock_enter(paths, n, why);
}

int sandbox_enter(enum role_kind kind, const struct config *config, struct why *why)
{
	uint32_t kept = capabilities_kept(kind, config);
	int error;

	if (kind == ROLE_SIGNER || kind == ROLE_KEEPER)
		lock_memory();
	error = lock_capabilities(kept != 0, why);
	if (!error)
		error = change_identity(sandbox_identity(kind, config), why);
	if (!error)
		error = drop_capabilities(kept, why);
	if (!error)
		error = sandbox_no_dump(why);
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = why_set(why, errno, "cannot set no_new_privs: %m");
	if (!error)
		error = confine_files(kind, config, why);
	if (!error)
		error = confine_calls(kind, why);
#ifdef SALLYPORT_SANITIZE
	sandbox_entered = 1;
#endif
	return error;
}
