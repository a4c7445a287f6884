# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages of `make deb`, installed, upgraded, removed and purged by dpkg, in a root that
lies over that of this machine and is thrown away."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from lab import network, system
from lab.appliance import AZURE
from lab.lab import build_directory
from lab.process import Process, descendants_of, wait_for
from test_processes import kernel_leftovers, slow_stream

CONFIG = "/etc/sallyport/sallyport.yaml"


class Root:
    """This machine's root with a layer of its own on top; the kernel's part is the laboratory's."""

    def __init__(self, lab):
        self.lab = lab
        self.namespace = lab.network.appliance
        self.top = tempfile.mkdtemp(prefix="package-", dir=lab.directory)
        os.chmod(self.top, 0o755)
        self.path = os.path.join(self.top, "root")
        self.daemon = None
        self.mounted = []
        self._mount("tmpfs", self.top, "tmpfs", 0)
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.top, name))
        layers = f"lowerdir=/,upperdir={self.top}/upper,workdir={self.top}/work"
        self._mount("overlay", self.path, "overlay", 0, layers)
        for name in ("proc", "sys", "dev"):
            self._mount("/" + name, os.path.join(self.path, name), None, system.MS_BIND | system.MS_REC)
        self._mount("tmpfs", os.path.join(self.path, "run"), "tmpfs", 0)
        self._mount("bpf", os.path.join(self.path, "sys/fs/bpf"), "bpf", 0)

    def _mount(self, source, target, *more):
        system.mount(source, target, *more)
        self.mounted.append(target)

    def close(self):
        if self.daemon:
            self.daemon.kill()
        self.lab.network.clean_appliance()
        for target in reversed(self.mounted):
            subprocess.run(["umount", "-l", target], check=False)

    def inside(self, path):
        return os.path.join(self.path, path.lstrip("/"))

    def run(self, *argv, check=True):
        return self.namespace.run("chroot", self.path, "env", "DEBIAN_FRONTEND=noninteractive",
                                  "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv, check=check, timeout=300)

    def dpkg(self, *words):
        return self.run("dpkg", *words)

    def copy(self, path):
        name = os.path.join("/run", os.path.basename(path))
        shutil.copy(path, self.inside(name))
        return name

    def start(self):
        self.daemon = Process("sallyportd", ["chroot", self.path, "/usr/sbin/sallyportd"], self.top,
                              self.namespace, death=signal.SIGTERM)
        wait_for(lambda: self.run("sallyport", "status", check=False).returncode == 0,
                 lambda: f"an appliance that inspects:\n{self.daemon.log()}", 60)

    def status(self):
        return json.loads(self.run("sallyport", "status", "--json", check=False).stdout)

    def files(self):
        """What has the name of ours below the root, but for dpkg's own notes."""
        found = self.run("find", "/etc", "/usr", "/var", "/run", "-xdev", "-iname", "*sallyport*").stdout.split()
        return [one for one in found if not one.startswith(("/var/lib/dpkg/", "/run/"))]


@pytest.fixture(scope="module")
def debs():
    found = sorted(glob.glob(os.path.join(build_directory(), "deb", "*.deb")))
    names = {os.path.basename(one).split("_")[0]: one for one in found}
    assert {"sallyport", "sallyport-collector"} <= names.keys(), f"run make deb: {found}"
    return names


@pytest.fixture
def root(lab):
    made = Root(lab)
    try:
        yield made
    finally:
        made.close()


def configure(root):
    shutil.copy(root.lab.certificates.root_path, root.inside("/etc/sallyport/origins.pem"))
    config = {
        "appliance": {"workers": 2},
        "datapath": {"inside": network.INSIDE_INTERFACE, "heartbeat_timeout": "5s"},
        "endpoints": {"prefixes": [network.REGION_A, network.REGION_B], "resolvers": [network.DNS + ":53"]},
        "tls": {"origin_roots": ["/etc/sallyport/origins.pem"], "system_roots": False},
    }
    with open(root.inside(CONFIG), "w", encoding="utf-8") as file:
        json.dump(config, file)
    root.run("sallyport", "ca", "init")


def next_version(root, deb):
    """The same package with a higher version."""
    unpacked = os.path.join(root.top, "next")
    subprocess.run(["dpkg-deb", "-R", deb, unpacked], check=True)
    control = os.path.join(unpacked, "DEBIAN/control")
    with open(control, encoding="utf-8") as file:
        lines = [line + "+next" if line.startswith("Version:") else line for line in file.read().splitlines()]
    with open(control, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    made = os.path.join(root.top, "next.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", unpacked, made], check=True, stdout=subprocess.DEVNULL)
    return made


class As:
    """What the helpers of other tests want to know of an appliance."""

    def __init__(self, root):
        self.namespace = root.namespace
        self.bpf_directory = root.inside("/sys/fs/bpf/sallyport")


def test_install_upgrade_remove_purge(lab, root, debs, prompt):
    nothing = root.files()
    root.dpkg("-i", root.copy(debs["sallyport"]))
    # Nothing runs yet: the configuration is the operator's.
    assert not os.path.exists(root.inside("/run/sallyport/lock"))
    assert "sallyport-worker" in root.run("getent", "passwd", "sallyport-worker").stdout
    configure(root)
    assert root.run("sallyport", "check").stdout == f"{CONFIG}: good\n"
    before = open(root.inside(CONFIG), encoding="utf-8").read()
    root.start()

    # The upgrade cuts no stream; the configuration, the CA and what is spooled stay.
    client = lab.client()
    client.ca = root.inside("/etc/sallyport/ca.pem")
    assert client.chat(AZURE, prompt).status == 200
    stream = slow_stream(client, prompt, events=200)
    wait_for(lambda: root.status()["kernel"]["flows"]["steered_active"], "the stream")
    done = root.dpkg("-i", root.copy(next_version(root, debs["sallyport"])))
    assert "has taken over" in done.stdout, done
    assert root.daemon.running
    got = stream.join()
    assert got.body.endswith(b"data: [DONE]\n\n") and got.text().endswith(" t199")
    assert client.chat(AZURE, prompt).status == 200
    assert open(root.inside(CONFIG), encoding="utf-8").read() == before
    wait_for(lambda: root.status()["record"]["waiting_events"] >= 3, lambda: str(root.status()["record"]))

    # Removed, it has ended and left the kernel; what the operator has is kept.
    root.dpkg("-r", "sallyport")
    assert root.daemon.wait() == 0, root.daemon.log()
    assert kernel_leftovers(As(root)) == []
    assert open(root.inside(CONFIG), encoding="utf-8").read() == before
    assert os.listdir(root.inside("/var/spool/sallyport"))
    assert os.path.exists(root.inside("/etc/sallyport/ca.key"))
    assert not os.path.exists(root.inside("/usr/sbin/sallyportd"))

    # A daemon that was killed leaves its programs; they go with the package.
    root.dpkg("-i", root.copy(debs["sallyport"]))
    root.start()
    children = descendants_of(root.daemon.pid)
    root.daemon.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "the end of all", 60)
    assert kernel_leftovers(As(root))
    root.dpkg("-r", "sallyport")
    assert kernel_leftovers(As(root)) == []

    root.dpkg("-P", "sallyport")
    assert root.files() == nothing
    assert "sallyport-" not in root.run("getent", "passwd").stdout
    assert not os.path.exists(root.inside("/run/sallyport"))


def test_an_upgrade_with_a_broken_configuration_changes_nothing(lab, root, debs, prompt):
    root.dpkg("-i", root.copy(debs["sallyport"]))
    configure(root)
    root.start()
    client = lab.client()
    client.ca = root.inside("/etc/sallyport/ca.pem")
    with open(root.inside(CONFIG), encoding="utf-8") as file:
        good = file.read()
    with open(root.inside(CONFIG), "w", encoding="utf-8") as file:
        file.write(good.replace('"workers": 2', '"wrokers": 2'))
    # When the package is upgraded, it says so and is installed all the same
    done = root.dpkg("-i", root.copy(next_version(root, debs["sallyport"])))
    assert "wrokers" in done.stderr and "the old program goes on until sallyportd is restarted" in done.stderr
    assert root.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "sallyport").stdout == "installed"
    # What ran goes on, also when one of its processes has to be started again
    assert root.daemon.running and client.chat(AZURE, prompt).status == 200
    before = set(descendants_of(root.daemon.pid))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(descendants_of(root.daemon.pid)) == len(before)
             and not before & set(descendants_of(root.daemon.pid)), "others in their place", 60)
    wait_for(lambda: root.status()["inspecting"], lambda: root.daemon.log(), 60)
    assert client.chat(AZURE, prompt).status == 200
    # And with a configuration that is good it is upgraded
    with open(root.inside(CONFIG), "w", encoding="utf-8") as file:
        file.write(good)
    assert "has taken over" in root.run("sallyport", "upgrade").stdout
    assert client.chat(AZURE, prompt).status == 200
    root.dpkg("-P", "sallyport")


def test_the_collector_comes_and_goes_alone(root, debs):
    nothing = root.files()
    root.dpkg("-i", root.copy(debs["sallyport-collector"]))
    assert "sallyport-collector" in root.run("getent", "passwd", "sallyport-collector").stdout
    assert "usage: sallyport-collector" in root.run("sallyport-collector", "--help").stdout
    store = root.inside("/var/lib/sallyport")
    os.makedirs(store, exist_ok=True)
    root.dpkg("-r", "sallyport-collector")
    assert os.path.exists(store)
    root.dpkg("-P", "sallyport-collector")
    assert root.files() == nothing


def test_make_install_is_undone_by_make_uninstall(lab, tmp_path):
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    def make(target):
        return subprocess.run(["make", "-s", "-C", top, target, f"BUILD={build_directory()}", f"DESTDIR={tmp_path}"],
                              check=True, capture_output=True, text=True).stdout

    said = make("install")
    assert "sysctl --system" in said and "sallyport selftest" in said
    assert (tmp_path / "usr/local/share/bash-completion/completions/sallyport").exists()
    make("uninstall")
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(one) for one in left] == ["etc/sallyport/sallyport.yaml"]
    assert not (tmp_path / "usr/local/share/sallyport").exists()


def test_completion_knows_every_command(lab):
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = f"""
        PATH={build_directory()}:$PATH
        . {top}/appliance/bash-completion/sallyport
        complete_of() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sallyport; echo "${{COMPREPLY[*]}}"; }}
        complete_of sallyport ''
        complete_of sallyport self
        complete_of sallyport selftest --no
        complete_of sallyport ca ''
    """
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    commands, selftest, option, ca = done.stdout.splitlines()
    usage = subprocess.run([lab.program("sallyport"), "--help"], check=True, capture_output=True, text=True).stdout
    known = {line.split()[0] for line in usage.splitlines() if line.startswith("  ")}
    assert known <= set(commands.split())
    assert (selftest, option) == ("selftest", "--no-call")
    usage = subprocess.run([lab.program("sallyport"), "ca", "--help"], check=True, capture_output=True, text=True).stdout
    assert set(ca.split()) == set(re.findall(r"sallyport ca (\w+)", usage))
