# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of `make image` boots under emulation (OVMF, Secure Boot), with a network on each side, and
a client behind it makes calls. It takes minutes."""

import json
import os
import re
import shutil
import subprocess

import pytest

from lab import network
from lab.appliance import AZURE
from lab.lab import build_directory
from lab.process import Process, wait_for

BOOT_SECONDS = int(os.environ.get("VM_SECONDS", "1500"))
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
MACS = {"outside": "52:54:00:5a:11:00", "inside": "52:54:00:5a:11:01"}

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


def user_data(root_pem):
    """What an operator would give: names, and in this laboratory whom to trust."""
    config = {
        "datapath": {"inside": "eth1"},
        "endpoints": {"names": [AZURE], "resolvers": [network.DNS + ":53"]},
        "tls": {"origin_roots": ["/etc/sallyport/origins.pem"], "system_roots": False},
    }
    # As YAML that sallyport-firstboot may read: datapath.inside on a line of its own.
    text = "\n".join(f"{key}: {json.dumps(value)}" for key, value in config.items() if key != "datapath")
    files = [
        {"path": "/etc/sallyport/sallyport.yaml", "content": "datapath:\n  inside: eth1\n" + text + "\n"},
        {"path": "/etc/sallyport/origins.pem", "content": root_pem},
    ]
    return "#cloud-config\n" + json.dumps({"write_files": files}) + "\n"


class Machine:
    """qemu in the namespace of the appliance, whose interfaces become ports of two bridges."""

    def __init__(self, lab):
        self.lab = lab
        self.namespace = lab.network.appliance
        self.directory = os.path.join(lab.directory, "machine")
        os.mkdir(self.directory)
        self.console = os.path.join(self.directory, "console.log")
        self.disk = os.path.join(self.directory, "disk.qcow2")
        self.seed = os.path.join(self.directory, "seed.img")
        self.variables = os.path.join(self.directory, "variables.fd")
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
        with open(self.lab.certificates.root_path, encoding="ascii") as file:
            texts = {"meta-data": META, "network-config": NETWORK, "user-data": user_data(file.read())}
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
                "-drive", f"if=virtio,format=qcow2,cache=writethrough,file={self.disk}",
                "-drive", f"if=virtio,format=raw,readonly=on,file={self.seed}",
                "-device", "virtio-rng-pci", "-serial", f"file:{self.console}"]
        for side, mac in MACS.items():
            argv += ["-netdev", f"tap,id={side},ifname=tap-{side},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev={side},mac={mac}"]
        self.qemu = Process("qemu", argv, self.directory, self.namespace)

    def said(self):
        if not os.path.exists(self.console):
            return ""
        with open(self.console, "rb") as file:
            return file.read().decode(errors="replace").replace("\r", "")

    def wait_said(self, text):
        def heard():
            assert self.qemu.running, self.qemu.log() + self.said()[-4000:]
            return text in self.said()

        wait_for(heard, lambda: f"{text!r} on the console:\n{self.said()[-6000:]}", BOOT_SECONDS, every=1)

    def close(self):
        if self.qemu:
            self.qemu.kill()
        for side in MACS:
            for name in (f"tap-{side}", f"br-{side}"):
                self.namespace.run("ip", "link", "del", name, check=False)


@pytest.fixture
def machine(lab):
    made = Machine(lab)
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


def test_the_image_boots_and_inspects(lab, machine, prompt):
    # When the machine starts for the first time, nobody is asked anything
    machine.start()
    machine.wait_said("-----END CERTIFICATE-----")
    assert "Secure boot enabled" in machine.said() or "locked down from EFI Secure Boot" in machine.said()
    ca = os.path.join(machine.directory, "ca.pem")
    with open(ca, "w", encoding="ascii") as file:
        file.write(authority(machine.said()))
    # Its selftest is good, kernel programs under lockdown among it
    machine.wait_said("sallyport-slot-good: this root is good: a")
    assert "XDP runs in native mode" in machine.said()
    # And a client behind it makes calls, streamed and not
    client = lab.client()
    client.ca = ca
    assert client.chat(AZURE, prompt).status == 200
    streamed = client.chat(AZURE, prompt, fields={"stream": True})
    assert streamed.status == 200 and streamed.body.endswith(b"data: [DONE]\n\n")
