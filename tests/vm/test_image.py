# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of `make image` boots under emulation (OVMF, Secure Boot), with a network on each side; a
client behind it makes calls, and a collector outside gets their events. The tests are the life of one
machine, in this order: first boot, reboot, power cut, upgrades. It takes the better part of an hour."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from lab import network
from lab.appliance import AZURE
from lab.lab import TOP, build_directory
from lab.process import Process, wait_for

BOOT_SECONDS = int(os.environ.get("VM_SECONDS", "1500"))
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
MACS = {"outside": "52:54:00:5a:11:00", "inside": "52:54:00:5a:11:01"}
COLLECTOR = network.DNS + ":24224"

META = "instance-id: sallyport-check\nlocal-hostname: gate\n"
NETWORK = f"""\
version: 2
ethernets:
  eth0:
    match: {{macaddress: "{MACS['outside']}"}}
    addresses: [{network.OUTSIDE}/24]
    routes: [{{to: 0.0.0.0/0, via: {network.DNS}}}]
    nameservers: {{addresses: [{network.DNS}]}}
  eth1:
    match: {{macaddress: "{MACS['inside']}"}}
    addresses: [{network.INSIDE}/24]
"""


def user_data(root_pem, ssh_key, collector_key):
    """That of appliance/azure, filled in; and what is this laboratory's: names, whom to trust, and an
    operator, who on Azure is the platform's to make."""
    with open(os.path.join(TOP, "appliance", "azure", "user-data.yaml"), encoding="utf-8") as file:
        text = file.read()
    for word, value in {"@COLLECTOR@": network.DNS, "@COLLECTOR_KEY@": collector_key, "@CLIENT_PREFIXES@": "10.209.0.0/16",
                        "@INSIDE_GATEWAY@": network.CLIENT}.items():
        assert word in text, word
        text = text.replace(word, value)
    ours = {
        "endpoints": {"names": [AZURE], "resolvers": [network.DNS + ":53"]},
        "tls": {"origin_roots": ["/etc/sallyport/origins.pem"], "system_roots": False},
    }
    keys = "".join(f"      {key}: {json.dumps(value)}\n" for key, value in ours.items())
    assert "      audit:\n" in text
    text = text.replace("      audit:\n", keys + "      audit:\n        fsync: always\n")
    roots = {"path": "/etc/sallyport/origins.pem", "content": root_pem}
    text = text.replace("write_files:\n", f"write_files:\n  - {json.dumps(roots)}\n")
    operator = {"name": "operator", "ssh_authorized_keys": [ssh_key], "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash"}
    return text + f"users: [{json.dumps(operator)}]\n"


class Collector:
    """Outside, where the origin is."""

    def __init__(self, lab):
        self.lab = lab
        self.directory = os.path.join(lab.directory, "collector")
        os.mkdir(self.directory)
        self.store = os.path.join(self.directory, "events")
        self.key = os.path.join(self.directory, "key")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("a-key-that-both-sides-have-and-prove\n")
        self.process = None

    def start(self):
        self.process = Process("collector", [
            self.lab.program("sallyport-collector"), "--store", self.store, "--socket",
            os.path.join(self.directory, "socket"), "--listen", COLLECTOR, "--key-file", self.key,
        ], self.directory, self.lab.network.origin)

    def stop(self):
        assert self.process.stop() == 0, self.process.log()

    def events(self):
        if not os.path.exists(self.store):
            return []
        done = self.lab.network.origin.run(self.lab.program("sallyport"), "events", "--store", self.store, "--json",
                                           "--limit", "0")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def told(self, prompt):
        """How many events have it."""
        return sum(prompt in json.dumps(event.get("gen_ai.input.messages", "")) for event in self.events())

    def wait_told(self, *prompts):
        wait_for(lambda: all(self.told(prompt) for prompt in prompts),
                 lambda: f"{prompts}; {self.process.log()}", BOOT_SECONDS, every=1)
        assert [self.told(prompt) for prompt in prompts] == [1] * len(prompts)


def next_root(path, *commands):
    """The root that was built, changed by debugfs(8): a later version of it."""
    shutil.copy(os.path.join(build_directory(), "image", "root.img"), path)
    for command in commands:
        subprocess.run(["debugfs", "-w", "-R", command, path], check=True, capture_output=True)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Machine:
    """qemu in the namespace of the appliance, whose interfaces become ports of two bridges."""

    def __init__(self, lab, collector_key):
        self.lab = lab
        self.namespace = lab.network.appliance
        self.collector_key = collector_key
        self.directory = os.path.join(lab.directory, "machine")
        os.mkdir(self.directory)
        self.console = os.path.join(self.directory, "console.log")
        self.disk = os.path.join(self.directory, "disk.qcow2")
        self.seed = os.path.join(self.directory, "seed.img")
        self.variables = os.path.join(self.directory, "variables.fd")
        self.ssh_key = os.path.join(self.directory, "ssh")
        self.ca = os.path.join(self.directory, "ca.pem")
        self.drives = []
        self.heard = 0
        self.qemu = None
        image = os.path.join(build_directory(), "image", "sallyport.raw")
        assert os.path.exists(image), "run make image"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, self.disk, "8G"],
                       check=True)
        shutil.copy(FIRMWARE[1], self.variables)
        self._make_seed()
        for side in MACS:
            run = self.namespace.ip
            run("addr", "flush", "dev", side)
            run("link", "add", f"br-{side}", "type", "bridge")
            run("link", "set", side, "master", f"br-{side}")
            run("tuntap", "add", f"tap-{side}", "mode", "tap")
            run("link", "set", f"tap-{side}", "master", f"br-{side}")
            for name in (f"br-{side}", f"tap-{side}"):
                run("link", "set", name, "up")

    def _make_seed(self):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.ssh_key], check=True)
        with open(self.lab.certificates.root_path, encoding="ascii") as root, \
                open(self.ssh_key + ".pub", encoding="ascii") as key, \
                open(self.collector_key, encoding="ascii") as shared:
            data = user_data(root.read(), key.read().strip(), shared.read().strip())
        texts = {"meta-data": META, "network-config": NETWORK, "user-data": data}
        with open(self.seed, "wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.vfat", "-n", "CIDATA", self.seed], check=True, stdout=subprocess.DEVNULL)
        for name, text in texts.items():
            path = os.path.join(self.directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            subprocess.run(["mcopy", "-i", self.seed, path, f"::{name}"], check=True)

    def start(self):
        argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "q35,smm=on,accel=tcg",
                "-cpu", "max", "-smp", "2", "-m", "2G",
                "-global", "driver=cfi.pflash01,property=secure,value=on",
                "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE[0]}",
                "-drive", f"if=pflash,format=raw,unit=1,file={self.variables}",
                "-drive", f"if=virtio,format=qcow2,file={self.disk}",
                "-drive", f"if=virtio,format=raw,readonly=on,file={self.seed}",
                "-device", "virtio-rng-pci", "-chardev", f"file,id=console,append=on,path={self.console}",
                "-serial", "chardev:console"]
        for path in self.drives:
            argv += ["-drive", f"if=virtio,format=raw,readonly=on,file={path}"]
        for side, mac in MACS.items():
            argv += ["-netdev", f"tap,id={side},ifname=tap-{side},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev={side},mac={mac}"]
        self.heard = len(self.all_said())
        self.qemu = Process("qemu", argv, self.directory, self.namespace)

    def cut(self):
        """The power is gone, in the middle of whatever it does."""
        self.qemu.popen.send_signal(signal.SIGKILL)
        self.qemu.wait()

    def all_said(self):
        if not os.path.exists(self.console):
            return ""
        with open(self.console, "rb") as file:
            return file.read().decode(errors="replace").replace("\r", "")

    def said(self):
        """On its console, since the last start or boot."""
        return self.all_said()[self.heard:]

    def wait_said(self, text):
        def heard():
            assert self.qemu.running, self.qemu.log() + self.said()[-4000:]
            return text in self.said()

        wait_for(heard, lambda: f"{text!r} on the console:\n{self.said()[-6000:]}", BOOT_SECONDS, every=1)

    def wait_good(self, slot="a"):
        self.wait_said(f"sallyport-slot: this root is good: {slot}")

    def ssh(self, command, address=network.OUTSIDE, namespace=None, check=True):
        """As the operator, with the key that cloud-init was given."""
        return (namespace or self.lab.network.origin).run(
            "ssh", "-q", "-F", "none", "-i", self.ssh_key, "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=60",
            f"operator@{address}", command, check=check, timeout=BOOT_SECONDS)

    def reboot(self):
        self.heard = len(self.all_said())
        self.ssh("sudo systemctl reboot", check=False)

    def client(self):
        made = self.lab.client()
        made.ca = self.ca
        return made

    def waiting(self):
        """Events that wait for the collector."""
        return json.loads(self.ssh("sudo sallyport status --json", check=False).stdout)["record"]["waiting_events"]

    def close(self):
        if self.qemu:
            self.qemu.kill()
        for side in MACS:
            for name in (f"tap-{side}", f"br-{side}"):
                self.namespace.run("ip", "link", "del", name, check=False)


@pytest.fixture(scope="module")
def collector(lab):
    made = Collector(lab)
    made.start()
    try:
        yield made
    finally:
        made.process.kill()


@pytest.fixture(scope="module")
def machine(lab, collector):
    made = Machine(lab, collector.key)
    try:
        yield made
    finally:
        made.close()


def authority(said):
    """The certificate for the clients, which the machine shows on its console."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    between = said.split(begin, 1)[1].split(end, 1)[0].splitlines()
    # Lines of others may stand between.
    lines = [re.sub(r"^.*sallyport-firstboot(\[\d+\])?: ", "", line).strip() for line in between]
    return "\n".join([begin, *(one for one in lines if re.fullmatch(r"[A-Za-z0-9+/]+=*", one)), end, ""])


def test_the_first_boot_asks_nothing_and_inspects(machine, prompt):
    machine.start()
    machine.wait_said("-----END CERTIFICATE-----")
    assert "Secure boot enabled" in machine.said() or "locked down from EFI Secure Boot" in machine.said()
    with open(machine.ca, "w", encoding="ascii") as file:
        file.write(authority(machine.said()))
    # Its selftest is good, kernel programs under lockdown among it
    machine.wait_good()
    assert "XDP runs in native mode" in machine.said()
    # And a client behind it makes calls, streamed and not
    client = machine.client()
    assert client.chat(AZURE, prompt).status == 200
    streamed = client.chat(AZURE, prompt, fields={"stream": True})
    assert streamed.status == 200 and streamed.body.endswith(b"data: [DONE]\n\n")
    # What is no call is forwarded
    client.tcp(network.OTHER).close()


def test_events_reach_a_collector_outside(machine, collector, prompt):
    assert machine.client().chat(AZURE, prompt).status == 200
    collector.wait_told(prompt)
    (event,) = [one for one in collector.events() if prompt in json.dumps(one)]
    assert event["source.ip"] == network.CLIENT and event["observer.name"] == "gate"


def test_ssh_is_for_the_outside_and_has_no_password(lab, machine):
    assert machine.ssh("id -un").stdout == "operator\n"
    settings = machine.ssh("sudo sshd -T").stdout
    assert "passwordauthentication no\n" in settings and "permitrootlogin no\n" in settings
    # Neither by the address inside nor by the one outside, from where clients are
    for address in (network.INSIDE, network.OUTSIDE):
        with pytest.raises(TimeoutError), lab.network.client.inside():
            socket.create_connection((address, 22), timeout=5)
    # No account has a password, and the root is read-only
    assert machine.ssh("sudo awk -F: '$2 !~ /^[!*]/' /etc/shadow").stdout == ""
    assert machine.ssh("findmnt -no OPTIONS /").stdout.startswith("ro")


KEPT = "sudo sha256sum /etc/sallyport/ca.pem /etc/sallyport/ca.key /etc/sallyport/.inside /etc/ssh/ssh_host_ed25519_key"


def test_a_reboot_keeps_the_authority_and_what_waits(machine, collector, prompt):
    # Given events that wait, because the collector is away
    collector.stop()
    assert machine.client().chat(AZURE, prompt).status == 200
    wait_for(machine.waiting, "an event that waits", BOOT_SECONDS, every=1)
    before = machine.ssh(KEPT).stdout
    # When the machine reboots
    machine.reboot()
    machine.wait_good()
    # Then nobody is asked to trust anything else, and the event arrives
    assert machine.ssh(KEPT).stdout == before
    assert machine.client().chat(AZURE, "after " + prompt).status == 200
    collector.start()
    wait_for(lambda: collector.told(prompt) == 2, lambda: str(collector.events()), BOOT_SECONDS, every=1)


def test_a_power_cut_loses_no_event_that_was_forced(machine, collector, prompt):
    client = machine.client()
    # Given an event that was acknowledged, and others that wait and were forced to the disk
    acknowledged = "acknowledged " + prompt
    assert client.chat(AZURE, acknowledged).status == 200
    collector.wait_told(acknowledged)
    collector.stop()
    forced = [f"forced {i}, {prompt}" for i in range(8)]
    for one in forced:
        assert client.chat(AZURE, one).status == 200
    # (fsync: always: what waits while one more is written was forced before that.)
    wait_for(lambda: machine.waiting() >= len(forced), "the events that wait", BOOT_SECONDS, every=1)
    first = machine.waiting()
    assert client.chat(AZURE, "one more").status == 200
    wait_for(lambda: machine.waiting() > first, "one more", BOOT_SECONDS, every=1)
    # When the power is cut while calls are written down
    answered = []

    def calls():
        try:
            for i in range(100000):
                client.chat(AZURE, f"unknown {i} {prompt}")
                answered.append(i)
        except Exception as error:  # the end of the power
            answered.append(error)

    thread = threading.Thread(target=calls)
    thread.start()
    wait_for(lambda: len(answered) >= 5, lambda: str(answered), BOOT_SECONDS)
    machine.cut()
    # Then all of them arrive, once
    machine.start()
    machine.wait_good()
    thread.join(120)
    collector.start()
    collector.wait_told(acknowledged, *forced)
    assert client.chat(AZURE, "after " + prompt).status == 200


def restart_with(machine, *drives):
    machine.ssh("sudo systemctl poweroff", check=False)
    machine.qemu.wait(BOOT_SECONDS)
    machine.drives = list(drives)
    machine.start()
    machine.wait_good()


def test_an_upgrade_is_tried_and_kept_and_a_bad_one_is_taken_back(lab, machine, collector, prompt):
    # Given a later version, and one whose daemon does not start
    later, bad = (os.path.join(machine.directory, name) for name in ("later.img", "bad.img"))
    marker = os.path.join(machine.directory, "marker")
    with open(marker, "w", encoding="ascii") as file:
        file.write("later\n")
    digest = next_root(later, f"write {marker} /usr/share/sallyport/marker")
    next_root(bad, "rm /usr/sbin/sallyportd")
    restart_with(machine, later, bad)
    before = machine.ssh(KEPT).stdout
    # What is damaged is not tried at all
    done = machine.ssh("sudo sallyport-slot try /dev/vdc " + "0" * 64, check=False)
    assert done.returncode == 1 and "another digest" in done.stderr
    assert machine.ssh("sudo sallyport-slot").stdout == "running: a\ngood: a\n"
    # When the later one is tried, it is good, and stays
    machine.ssh(f"sudo sallyport-slot try /dev/vdc {digest}")
    assert machine.ssh("sudo sallyport-slot").stdout == "running: a\ngood: a\ntried next: b\n"
    machine.reboot()
    machine.wait_good("b")
    assert machine.ssh("cat /usr/share/sallyport/marker").stdout == "later\n"
    assert machine.ssh(KEPT).stdout == before
    assert machine.client().chat(AZURE, prompt).status == 200
    collector.wait_told(prompt)
    # The bad one is left again without anybody's doing
    machine.ssh("sudo sallyport-slot try /dev/vdd")
    machine.reboot()
    # Nobody inspects, and nothing is forwarded meanwhile
    machine.wait_said("failed   daemon")
    with pytest.raises(TimeoutError), lab.network.client.inside():
        socket.create_connection((network.OTHER, 443), timeout=5)
    machine.wait_said("sallyport-slot: this root is not good: a")
    machine.wait_good("b")
    assert machine.ssh("sudo sallyport-slot").stdout == "running: b\ngood: b\n"
    assert machine.client().chat(AZURE, "after " + prompt).status == 200
