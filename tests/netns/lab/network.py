# SPDX-License-Identifier: GPL-2.0-or-later
"""Three network namespaces in a row: client — appliance — origin."""

import contextlib
import os
import signal
import socket
import subprocess

from . import system

CLIENT = "10.201.0.2"
CLIENT6 = "fd00:201::2"
OTHER_CLIENTS = ["10.201.0.3", "10.201.0.4", "10.201.0.5"]
INSIDE = "10.201.0.1"
INSIDE6 = "fd00:201::1"
OUTSIDE = "10.202.0.1"
OUTSIDE6 = "fd00:202::1"
DNS = "10.202.0.2"
DNS6 = "fd00:202::2"
REGION_A = "10.202.0.10"
REGION_A6 = "fd00:202::10"
REGION_B = "10.202.0.20"
REGION_B6 = "fd00:202::20"
# Three regions of a pool, each with an origin of its own that tests start.
REGIONS = {"east": "10.202.0.51", "west": "10.202.0.52", "north": "10.202.0.53"}
PLAIN = "10.202.0.40"  # an endpoint where the origin does not listen: tests do
OTHER = "10.202.0.30"  # a host on the internet that is no AI endpoint
OTHER6 = "fd00:202::30"

INSIDE_INTERFACE = "inside"
OUTSIDE_INTERFACE = "outside"


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Namespace:
    """A network namespace that lives as long as a child of this process."""

    def __init__(self, name):
        self.name = name
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                system.die_with_parent()
                system.unshare(system.CLONE_NEWNET)
                os.write(tell, b"r")
                os.closerange(0, 1024)
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        os.close(tell)
        made = os.read(ready, 1)
        os.close(ready)
        if not made:
            os.waitpid(self.pid, 0)
            raise OSError(f"no network namespace for {name}: is this root?")
        self.fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self):
        """Moves the calling thread (or forked child) into the namespace for good."""
        system.setns(self.fd, system.CLONE_NEWNET)

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens within the block, it opens in the namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.enter()
            yield
        finally:
            system.setns(home, system.CLONE_NEWNET)
            os.close(home)

    def run(self, *argv, check=True, timeout=120, **kwargs):
        """Runs a program in the namespace; text in, text out."""
        kwargs.setdefault("text", True)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)

        def before_exec():
            system.die_with_parent()
            self.enter()

        done = subprocess.run(
            [os.fspath(a) for a in argv], preexec_fn=before_exec, timeout=timeout, **kwargs
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def ip(self, *words):
        return self.run("ip", *words).stdout

    def sysctl(self, name, value):
        with self.inside(), open("/proc/sys/net/" + name, "w", encoding="ascii") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def small_buffers(self):
        """The kernel holds little of what was sent from here and not read yet, of new connections."""
        with self.inside(), open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as file:
            before = file.read()
        self.sysctl("ipv4/tcp_wmem", "4096 16384 65536")
        try:
            yield
        finally:
            self.sysctl("ipv4/tcp_wmem", before)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self.fd)


class Network:
    def __init__(self):
        self.namespaces = []
        try:
            self.client = self._namespace("client")
            self.appliance = self._namespace("appliance")
            self.origin = self._namespace("origin")
            self._wire()
        except BaseException:
            self.close()
            raise

    def _namespace(self, name):
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    def _pair(self, left, left_name, right, right_name):
        left.ip("link", "add", left_name, "type", "veth", "peer", "name", right_name, "netns", str(right.pid))
        left.ip("link", "set", left_name, "up")
        right.ip("link", "set", right_name, "up")

    @staticmethod
    def _address(namespace, interface, *addresses):
        for address in addresses:
            if ":" in address:
                namespace.ip("-6", "addr", "add", address + "/64", "dev", interface, "nodad")
            else:
                namespace.ip("addr", "add", address + "/24", "dev", interface)

    def _wire(self):
        self._pair(self.client, "eth0", self.appliance, INSIDE_INTERFACE)
        self._pair(self.origin, "eth0", self.appliance, OUTSIDE_INTERFACE)
        self._address(self.client, "eth0", CLIENT, *OTHER_CLIENTS, CLIENT6)
        self._address(self.appliance, INSIDE_INTERFACE, INSIDE, INSIDE6)
        self._address(self.appliance, OUTSIDE_INTERFACE, OUTSIDE, OUTSIDE6)
        self._address(
            self.origin, "eth0", DNS, REGION_A, REGION_B, PLAIN, OTHER, *REGIONS.values(), DNS6, REGION_A6, REGION_B6, OTHER6
        )
        for namespace, v4, v6 in (
            (self.client, INSIDE, INSIDE6),
            (self.origin, OUTSIDE, OUTSIDE6),
        ):
            namespace.ip("route", "add", "default", "via", v4)
            namespace.ip("-6", "route", "add", "default", "via", v6)
        self.appliance.sysctl("ipv4/ip_forward", 1)
        self.appliance.sysctl("ipv6/conf/all/forwarding", 1)

    def clean_appliance(self):
        """What a killed daemon left in the kernel of the appliance goes, so that one failed test
        fails alone."""
        appliance = self.appliance
        for interface in (INSIDE_INTERFACE,):
            appliance.run("ip", "link", "set", interface, "xdp", "off", check=False)
            appliance.run("tc", "qdisc", "del", "dev", interface, "clsact", check=False)
        for family in ("ip", "ip6"):
            for table in ("sallyport_", "sallyport_egress_"):
                appliance.run("nft", "delete", "table", family, table + INSIDE_INTERFACE, check=False)
        for family in ("-4", "-6"):
            rules = appliance.run("ip", family, "rule", "show").stdout
            for line in rules.splitlines():
                if "fwmark" in line:
                    appliance.run("ip", family, "rule", "del", "pref", line.split(":")[0], check=False)

    def close(self):
        for namespace in self.namespaces:
            namespace.close()
        self.namespaces = []
