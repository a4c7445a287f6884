# SPDX-License-Identifier: GPL-2.0-or-later
"""All of it together."""

import os
import shutil
import signal
import subprocess
import tempfile

from . import appliance as hosts
from . import network, system
from .appliance import Appliance
from .certificates import Certificates
from .client import Client
from .names import Names
from .network import Network
from .origin import Origin

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def build_directory():
    return os.environ.get("SALLYPORT_BUILD") or os.path.join(TOP, "build")


class Lab:
    """Raises the network, the DNS and the origin; `with Lab() as lab:` takes all down again."""

    def __init__(self, origin_processes=1, journal=True, origin_environment=None):
        if os.geteuid() != 0:
            raise PermissionError("network namespaces and kernel programs need root")
        self.directory = tempfile.mkdtemp(prefix="sallyport-lab-")
        os.chmod(self.directory, 0o755)
        self.network = self.names = self.origin = None
        self.appliances, self.origins = [], []
        self._made = 0
        try:
            self._raise(origin_processes, journal, origin_environment)
        except BaseException:
            self.close()
            raise

    def _raise(self, origin_processes, journal, origin_environment):
        system.private_mounts()
        self._mount()
        self.network = Network()
        self.names = Names(self.network.origin, [network.DNS, network.DNS6])
        self.certificates = Certificates(os.path.join(self.directory, "certificates"))
        self.certificates.good("default")
        self.add_host(hosts.AZURE, network.REGION_A, network.REGION_A6)
        self.add_host(hosts.AZURE_B, network.REGION_B, network.REGION_B6)
        self.add_host(hosts.OPENAI, network.REGION_A, network.REGION_A6)
        self.add_host(hosts.UNLISTED, network.REGION_A, network.REGION_A6)
        self.add_host(hosts.ELSEWHERE, network.OTHER, network.OTHER6)
        listen = [
            f"{address}:443" if ":" not in address else f"[{address}]:443"
            for address in (network.REGION_A, network.REGION_A6, network.REGION_B,
                            network.REGION_B6, network.OTHER, network.OTHER6)
        ]
        self.origin = self.add_origin(listen, processes=origin_processes, journal=journal,
                                      environment=origin_environment)

    def _mount(self):
        """A BPF file system of our own, and the client's /etc/resolv.conf."""
        self.bpf_directory = os.path.join(self.directory, "bpf")
        os.mkdir(self.bpf_directory)
        system.mount("bpf", self.bpf_directory, "bpf", 0)
        resolv = os.path.join(self.directory, "resolv.conf")
        with open(resolv, "w", encoding="ascii") as file:
            file.write(f"nameserver {network.DNS}\n")
        system.mount(resolv, os.path.realpath("/etc/resolv.conf"), None, system.MS_BIND)

    def program(self, name):
        path = os.path.join(build_directory(), name)
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is missing: run make")
        return path

    def add_host(self, name, *addresses):
        """A name in the DNS with a good certificate."""
        self.certificates.good(name)
        self.names.set(name, *addresses)

    def add_origin(self, listen, **options):
        options.setdefault("name", f"origin{len(self.origins) or ''}")
        origin = Origin(self.program("tests/origin/origin"), self.directory, self.network.origin,
                        self.certificates, listen, **options)
        self.origins.append(origin)
        return origin

    def appliance(self, changes=None, name=None):
        """An appliance that is configured, not started."""
        self._made += 1
        name = name or f"appliance{self._made}"
        made = Appliance(self, os.path.join(self.directory, name), changes)
        self.appliances.append(made)
        return made

    def client(self, appliance=None):
        """A client that trusts the appliance's CA, or, without one, the test's root."""
        ca = appliance.ca_path if appliance else self.certificates.root_path
        return Client(self.network.client, self.names, ca)

    def close(self):
        for appliance in list(self.appliances):
            appliance.close()
        for origin in self.origins:
            origin.process.kill()
        if self.names:
            self.names.close()
        if self.network:
            self.network.close()
        for mounted in ("/etc/resolv.conf", os.path.join(self.directory, "bpf")):
            if os.path.ismount(os.path.realpath(mounted)):
                subprocess.run(["umount", "-l", os.path.realpath(mounted)], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not interrupt the cleaning.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.close()
        finally:
            signal.signal(signal.SIGINT, before)
