# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of `make image` boots under emulation (OVMF, Secure Boot), with a network on each side; a
client behind it makes calls, and a collector outside gets their events. The tests are the life of one
machine, in this order: first boot, power cut, upgrade, a bad upgrade. It takes the better part of an hour."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from lab import network
from lab.appliance import AZURE
from lab.lab import TOP, build_directory
from lab.process import Process, wait_for
from machine import ADMIN, BOOT_SECONDS, Machine, azure_user_data

MACS = {"outside": "52:54:00:5a:11:00", "inside": "52:54:00:5a:11:01"}
COLLECTOR = network.DNS + ":24224"

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


def user_data(root_pem, collector_key):
    """That of appliance/azure; and what is this laboratory's: names, and whom to trust."""
    text = azure_user_data("user-data.yaml", {
        "@COLLECTOR@": network.DNS, "@COLLECTOR_KEY@": collector_key, "@CA_SECRET@": "", "@CLIENT_PREFIXES@": "10.209.0.0/16",
        "@INSIDE_GATEWAY@": network.CLIENT})
    ours = {
        "endpoints": {"names": [AZURE], "resolvers": [network.DNS + ":53"]},
        "tls": {"origin_roots": ["/etc/sallyport/origins.pem"], "system_roots": False},
    }
    keys = "".join(f"      {key}: {json.dumps(value)}\n" for key, value in ours.items())
    assert "      audit:\n" in text
    # A machine under emulation, and under load, is no failure.
    text = text.replace("        inside: eth1\n", "        inside: eth1\n        heartbeat_timeout: 20s\n")
    text = text.replace("      audit:\n", keys + "      audit:\n        fsync: always\n")
    roots = {"path": "/etc/sallyport/origins.pem", "content": root_pem}
    return text.replace("write_files:\n", f"write_files:\n  - {json.dumps(roots)}\n")


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
    """The root that was built, changed by debugfs(8)."""
    shutil.copy(os.path.join(build_directory(), "image", "root.img"), path)
    for command in commands:
        subprocess.run(["debugfs", "-w", "-R", command, path], check=True, capture_output=True)
    return path


def next_roots(directory):
    """A later version, and one whose daemon does not start: as disks of the machine."""
    marker = os.path.join(directory, "marker")
    with open(marker, "w", encoding="ascii") as file:
        file.write("later\n")
    return [next_root(os.path.join(directory, "later.img"), f"write {marker} /usr/share/sallyport/marker"),
            next_root(os.path.join(directory, "bad.img"), "rm /usr/sbin/sallyportd")]


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
    made = Machine(lab, "machine", network.OUTSIDE, {mac: side for side, mac in MACS.items()})
    try:
        with open(lab.certificates.root_path, encoding="ascii") as root, open(collector.key, encoding="ascii") as key:
            made.seed_with(NETWORK, user_data(root.read(), key.read().strip()))
        made.drives = next_roots(made.directory)
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


def waiting(machine):
    """Events that wait for the collector."""
    return json.loads(machine.ssh("sudo sallyport status --json", check=False).stdout)["record"]["waiting_events"]


@pytest.fixture
def client(lab, machine):
    """Behind it; it was given what the machine shows on its console at the first boot, and no more."""
    made = lab.client()
    made.ca = machine.ca
    return made


def test_the_disks_are_one_and_have_what_azure_asks_for():
    image = os.path.join(build_directory(), "image")
    raw, root = os.path.join(image, "sallyport.raw"), os.path.join(image, "root.img")
    for form, name in (("vpc", "sallyport.vhd"), ("qcow2", "sallyport.qcow2")):
        subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", form, raw, os.path.join(image, name)], check=True,
                       capture_output=True)
    assert os.path.getsize(os.path.join(image, "sallyport.vhd")) % (1 << 20) == 512

    def names(path):
        done = subprocess.run(["debugfs", "-R", f"ls -p {path}", root], check=True, capture_output=True, text=True)
        return [line.split("/")[5] for line in done.stdout.splitlines() if "/" in line]

    (kernel,) = [one for one in names("/usr/lib/modules") if "cloud" in one]
    drivers = f"/usr/lib/modules/{kernel}/kernel/drivers/net"
    for path, driver in (("hyperv", "hv_netvsc"), ("ethernet/microsoft/mana", "mana"),
                         ("ethernet/mellanox/mlx5/core", "mlx5_core")):
        assert any(one.startswith(driver + ".ko") for one in names(f"{drivers}/{path}")), driver
    # And no secret: each machine makes its own
    assert not [one for one in names("/etc/ssh") if one.startswith("ssh_host_")]
    assert not [one for one in names("/etc/sallyport") if one.startswith("ca.")]


def test_the_first_boot_asks_nothing_and_inspects(machine, client, prompt):
    machine.start()
    machine.wait_said("-----END CERTIFICATE-----")
    assert "Secure boot enabled" in machine.said() or "locked down from EFI Secure Boot" in machine.said()
    with open(machine.ca, "w", encoding="ascii") as file:
        file.write(authority(machine.said()))
    # Its selftest is good, kernel programs under lockdown among it
    machine.wait_good()
    assert "XDP runs in native mode" in machine.said()
    # And a client behind it makes calls, streamed and not
    assert client.chat(AZURE, prompt).status == 200
    streamed = client.chat(AZURE, prompt, fields={"stream": True})
    assert streamed.status == 200 and streamed.body.endswith(b"data: [DONE]\n\n")
    # What is no call is forwarded
    client.tcp(network.OTHER).close()


@pytest.mark.parametrize("dialect", ["azure", "azure-v1"])
def test_the_official_client_makes_calls(lab, machine, collector, dialect):
    """Unmodified, and given nothing but the root."""
    calls = ("chat", "stream")
    for call in calls:
        done = lab.network.client.run("node", os.path.join(TOP, "tests", "sdk", "chat.mjs"), dialect, AZURE, call,
                                      env={**os.environ, "NODE_EXTRA_CA_CERTS": machine.ca}, timeout=BOOT_SECONDS)
        assert json.loads(done.stdout)["text"] == f"Answer to: sdk {dialect} {call}. t1 t2 t3 t4"
    collector.wait_told(*(f"sdk {dialect} {call}" for call in calls))


def test_events_reach_a_collector_outside(client, collector, prompt):
    assert client.chat(AZURE, prompt).status == 200
    collector.wait_told(prompt)
    (event,) = [one for one in collector.events() if prompt in json.dumps(one)]
    assert event["source.ip"] == network.CLIENT and event["observer.name"] == "gate"


def test_what_cloud_init_was_given_is_done(machine):
    assert "status: done" in machine.ssh("cloud-init status --wait --long", check=False).stdout
    assert "masquerade" in machine.ssh("sudo nft list table ip sallyport_outside").stdout
    assert f"from {network.INSIDE} lookup 200" in machine.ssh("ip rule").stdout
    assert machine.ssh("systemctl --failed --plain --no-legend").stdout == ""


def test_ssh_is_for_the_outside_and_has_no_password(lab, machine):
    assert machine.ssh("id -un").stdout == ADMIN + "\n"
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


def test_a_power_cut_loses_no_event_that_was_forced(machine, client, collector, prompt):
    before = machine.ssh(KEPT).stdout
    # Given an event that was acknowledged, and others that wait and were forced to the disk
    acknowledged = "acknowledged " + prompt
    assert client.chat(AZURE, acknowledged).status == 200
    collector.wait_told(acknowledged)
    collector.stop()
    forced = [f"forced {i}, {prompt}" for i in range(8)]
    for one in forced:
        assert client.chat(AZURE, one).status == 200
    # (fsync: always: what waits while one more is written was forced before that.)
    wait_for(lambda: waiting(machine) >= len(forced), "the events that wait", BOOT_SECONDS, every=1)
    first = waiting(machine)
    assert client.chat(AZURE, "one more").status == 200
    wait_for(lambda: waiting(machine) > first, "one more", BOOT_SECONDS, every=1)
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
    # Then all of them arrive, once, and nobody is asked to trust anything else
    machine.start()
    machine.wait_good()
    thread.join(120)
    assert machine.ssh(KEPT).stdout == before
    collector.start()
    collector.wait_told(acknowledged, *forced)
    assert client.chat(AZURE, "after " + prompt).status == 200


def test_an_upgrade_is_tried_and_kept_with_all_that_the_machine_has(machine, client, collector, prompt):
    before = machine.ssh(KEPT).stdout
    # What is damaged is not tried at all
    done = machine.ssh("sudo sallyport-slot try /etc/hostname " + "0" * 64, check=False)
    assert done.returncode == 1 and "another digest" in done.stderr
    assert machine.ssh("sudo sallyport-slot").stdout == "running: a\ngood: a\n"
    # Given a later version, and an event that waits because the collector is away
    with open(machine.drives[0], "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    machine.ssh(f"sudo sallyport-slot try /dev/vdc {digest}")
    assert machine.ssh("sudo sallyport-slot").stdout == "running: a\ngood: a\ntried next: b\n"
    collector.stop()
    assert client.chat(AZURE, prompt).status == 200
    wait_for(lambda: waiting(machine), "an event that waits", BOOT_SECONDS, every=1)
    # When the machine reboots, it runs the later version, and keeps it and all that was made here
    machine.reboot()
    machine.wait_good("b")
    assert machine.ssh("cat /usr/share/sallyport/marker").stdout == "later\n"
    assert machine.ssh(KEPT).stdout == before
    collector.start()
    collector.wait_told(prompt)
    assert machine.ssh("sudo sallyport-slot").stdout == "running: b\ngood: b\n"


def test_a_bad_upgrade_is_taken_back_and_forwards_nothing(lab, machine, client, prompt):
    machine.ssh("sudo sallyport-slot try /dev/vdd")
    machine.reboot()
    # Nobody inspects, and nothing is forwarded meanwhile
    machine.wait_said("failed   daemon")
    with pytest.raises(TimeoutError), lab.network.client.inside():
        socket.create_connection((network.OTHER, 443), timeout=5)
    # It is left again without anybody's doing
    machine.wait_said("sallyport-slot: this root is not good: a")
    machine.wait_good("b")
    assert machine.ssh("sudo sallyport-slot").stdout == "running: b\ngood: b\n"
    assert client.chat(AZURE, prompt).status == 200
