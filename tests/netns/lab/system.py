# SPDX-License-Identifier: GPL-2.0-or-later
"""The few system calls that Python 3.11 does not have."""

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_OBJ_GET = 7

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def setns(fd, kind):
    _check(_libc.setns(fd, kind), "setns")


def unshare(kind):
    _check(_libc.unshare(kind), "unshare")


def mount(source, target, kind, flags, data=None):
    encoded = [None if s is None else os.fsencode(s) for s in (source, target, kind)]
    _check(
        _libc.mount(*encoded, ctypes.c_ulong(flags), None if data is None else data.encode()),
        f"mount {target}",
    )


def die_with_parent(number=signal.SIGKILL):
    """For the child of a fork: it gets the signal when the forking thread's process ends."""
    _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def pinned_object(path):
    """A descriptor of what is pinned there in a BPF file system."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    attributes = (ctypes.c_uint64 * 2)(ctypes.addressof(name), 0)
    fd = _libc.syscall(SYS_BPF[os.uname().machine], BPF_OBJ_GET, attributes, ctypes.sizeof(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"{path}: {os.strerror(ctypes.get_errno())}")
    return fd


def private_mounts():
    """From now on this process' mounts are its own and vanish with it."""
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
