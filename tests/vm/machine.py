# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that the image of `make image` was written to, under emulation, with Secure Boot."""

import json
import os
import shutil
import signal
import subprocess
import time

from lab.lab import TOP, build_directory
from lab.process import Process, wait_for

BOOT_SECONDS = int(os.environ.get("VM_SECONDS", "1500"))
# As the template calls it. (Debian has a group "operator", and makes no such user.)
ADMIN = "gateadmin"
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"


def azure_user_data(name, words):
    """That of appliance/azure, with the words that its template puts in."""
    with open(os.path.join(TOP, "appliance", "azure", name), encoding="utf-8") as file:
        text = file.read()
    for word, value in words.items():
        assert word in text, word
        text = text.replace(word, value)
    return text


class Machine:
    """qemu in the namespace of the appliance, whose interfaces become ports of two bridges."""

    def __init__(self, lab, name, address, interfaces):
        """address: where the operator reaches it. interfaces: of the machine, in the order of their names, with
        the hardware address of each and the side that it is on."""
        self.lab = lab
        self.namespace = lab.network.appliance
        self.address, self.interfaces = address, interfaces
        self.directory = os.path.join(lab.directory, name)
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
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.ssh_key], check=True)
        for side in interfaces.values():
            run = self.namespace.ip
            run("addr", "flush", "dev", side)
            run("link", "add", f"br-{side}", "type", "bridge")
            run("link", "set", side, "master", f"br-{side}")
            run("tuntap", "add", f"tap-{side}", "mode", "tap")
            run("link", "set", f"tap-{side}", "master", f"br-{side}")
            for name in (f"br-{side}", f"tap-{side}"):
                run("link", "set", name, "up")

    def seed_with(self, network_config, user_data):
        """What cloud-init finds; and an operator, who on Azure is the platform's to make."""
        with open(self.ssh_key + ".pub", encoding="ascii") as key:
            operator = {"name": ADMIN, "ssh_authorized_keys": [key.read().strip()],
                        "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
        texts = {
            "meta-data": "instance-id: sallyport-check\nlocal-hostname: gate\n",
            "network-config": network_config,
            "user-data": user_data + f"users: [{json.dumps(operator)}]\n",
        }
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
        for mac, side in self.interfaces.items():
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

    def ssh(self, command, check=True, again=True):
        """As the operator, with the key that cloud-init was given, from outside. again: a machine that has no time
        to let somebody in (255) is asked once more."""
        end = time.monotonic() + BOOT_SECONDS
        while True:
            done = self.lab.network.origin.run(
                "ssh", "-o", "LogLevel=ERROR", "-F", "none", "-i", self.ssh_key, "-o", "StrictHostKeyChecking=no", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=300",
                f"{ADMIN}@{self.address}", command, check=False, timeout=BOOT_SECONDS)
            if done.returncode == 255 and again and time.monotonic() < end:
                time.sleep(1)
                continue
            assert not check or done.returncode == 0, done
            return done

    def reboot(self):
        self.heard = len(self.all_said())
        self.ssh("sudo systemctl reboot", check=False, again=False)

    def close(self):
        if self.qemu:
            self.qemu.kill()
        for side in self.interfaces.values():
            for name in (f"tap-{side}", f"br-{side}"):
                self.namespace.run("ip", "link", "del", name, check=False)
