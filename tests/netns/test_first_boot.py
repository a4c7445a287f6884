# SPDX-License-Identifier: GPL-2.0-or-later
"""What the image does before the daemon, with disks and interfaces as nobody planned them. The scripts are
the image's own, in a root that lies over this machine's and is thrown away; interfaces are real, and say that
they are devices. (`make check-image` boots them all.)"""

import os
import re
import subprocess

import pytest

from lab.lab import TOP
from lab.network import Namespace

IMAGE = os.path.join(TOP, "vm", "image.d")
FIRST_BOOT = "/usr/local/sbin/sallyport-firstboot"
BEFORE_ROOT = "/etc/initramfs-tools/scripts/local-bottom/sallyport"

# top, the image's files, the command: what is mounted goes with the shell that mounts it.
BOOT = r"""
top=$1 image=$2; shift 2
root=$top/root
mkdir -p "$top/layer" "$root" "$top/kept" "$top/net" "$top/block" "$top/bin"
mount -t tmpfs tmpfs "$top/layer"
mkdir "$top/layer/upper" "$top/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/layer/upper,workdir=$top/layer/work" "$root"
mkdir -p "$root/data" "$root/scripts" "$root/etc/sallyport" "$root/usr/local/bin"
mount -t tmpfs tmpfs "$root/dev"
for node in null:3 zero:5 random:8 urandom:9; do mknod "$root/dev/${node%:*}" c 1 "${node#*:}"; done
mkdir -p "$root/dev/disk/by-partlabel"
if [ -n "$DISK" ]; then cp -a "$DISK" "$root$DISK"; ln -s "$DISK" "$root/dev/disk/by-partlabel/sallyport-data"; fi
mount --rbind /proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --bind "$top/net" "$root/sys/class/net"
mount -t tmpfs tmpfs "$root/sys/class/block" 2>/dev/null
cp -r "$top/block/." "$root/sys/class/block"
mount --bind "$top/kept" "$root/etc/sallyport"
cp -r "$image/etc/initramfs-tools" "$root/etc"
cp "$image/usr/local/sbin/"* "$root/usr/local/sbin"
cp -r "$top/bin/." "$root/usr/local/bin"
[ ! -e "$top/ca-from-vault" ] || cp "$top/ca-from-vault" "$root/usr/local/sbin"
[ ! -e "$top/functions" ] || cp "$top/functions" "$root/scripts/functions"
exec chroot "$root" sh -euc "$@"
"""


class Machine:
    def __init__(self, lab, directory):
        self.lab = lab
        self.top = str(directory)
        self.namespace = Namespace("machine")
        self.kept = directory / "kept"
        self.disk = ""
        for name in ("kept", "net", "bin", "block"):
            (directory / name).mkdir()
        # Nobody waits for a clock, or for a lease.
        for name, text in (("sleep", "exit 0"), ("timedatectl", "echo yes")):
            (directory / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (directory / "bin" / name).chmod(0o755)
        self.config("datapath:\n  inside: eth1\n")

    def config(self, text):
        (self.kept / "sallyport.yaml").write_text(text)

    def inside(self):
        (line,) = [one for one in (self.kept / "sallyport.yaml").read_text().splitlines() if " inside:" in one]
        return line.split()[1]

    def interface(self, name, last, route=False):
        """One of a device, whose hardware address ends so."""
        address = f"52:54:00:5a:12:{last:02x}"
        self.namespace.ip("link", "add", name, "address", address, "type", "veth")
        self.namespace.ip("link", "set", name, "up")
        path = os.path.join(self.top, "net", name)
        os.mkdir(path)
        for file, text in (("device", ""), ("type", "1"), ("address", address)):
            with open(os.path.join(path, file), "w", encoding="ascii") as out:
                out.write(text + "\n")
        if route:
            self.namespace.ip("addr", "add", f"10.99.{last}.2/24", "dev", name)
            self.namespace.ip("route", "add", "default", "via", f"10.99.{last}.1", "dev", name)
        return address

    def remove(self, name):
        self.namespace.ip("link", "del", name)
        subprocess.run(["rm", "-r", os.path.join(self.top, "net", name)], check=True)

    def run(self, script, *words):
        environment = {**os.environ, "DISK": self.disk,
                       "PATH": ":".join(["/usr/local/sbin", "/usr/local/bin", os.path.dirname(self.lab.program("sallyport")),
                                         "/usr/sbin", "/usr/bin", "/sbin", "/bin"])}
        done = self.namespace.run("unshare", "--mount", "--propagation", "private", "sh", "-euc", BOOT, "sh", self.top,
                                  IMAGE, script, "sh", *words, check=False, env=environment)
        return done.returncode, done.stdout + done.stderr

    def first_boot(self):
        return self.run(f"exec sh {FIRST_BOOT}")

    def ruleset(self):
        return self.namespace.run("nft", "list", "table", "inet", "sallyport_machine").stdout

    def close(self):
        self.namespace.close()
        if self.disk:
            subprocess.run(["losetup", "-d", self.disk], check=False)


@pytest.fixture
def machine(lab, tmp_path):
    made = Machine(lab, tmp_path)
    try:
        yield made
    finally:
        made.close()


# --- interfaces ---

def test_the_sides_are_found_by_role_and_kept_by_hardware_address(machine):
    machine.interface("eth0", 1)
    machine.interface("eth1", 2, route=True)
    code, said = machine.first_boot()
    assert code == 0 and "inside is eth0, outside and management eth1" in said, said
    assert machine.inside() == "eth0"
    assert (machine.kept / ".inside").read_text() == "eth0 52:54:00:5a:12:01\n"
    assert (machine.kept / "ca.key").stat().st_mode & 0o777 == 0o600
    assert "BEGIN CERTIFICATE" in said and "PRIVATE" not in said
    before = (machine.kept / "ca.pem").read_bytes()
    # Given that they change their names at the next boot
    for name in ("eth0", "eth1"):
        machine.remove(name)
    machine.interface("eth1", 1)
    machine.interface("eth0", 2, route=True)
    code, said = machine.first_boot()
    assert code == 0 and "eth0 is eth1 now" in said and machine.inside() == "eth1", said
    assert (machine.kept / "ca.pem").read_bytes() == before
    # And what an operator changes stays
    machine.config("datapath:\n  inside: eth0   # one arm\n")
    code, said = machine.first_boot()
    assert code == 0 and "changed by hand" in said and machine.inside() == "eth0", said


def test_without_a_default_route_nobody_guesses(machine):
    machine.interface("eth0", 1)
    machine.interface("eth1", 2)
    code, said = machine.first_boot()
    assert code == 1 and "which of eth0 eth1 is the inside is told by a default route" in said, said
    assert not (machine.kept / ".inside").exists() and not (machine.kept / "ca.pem").exists()
    # Meanwhile nothing is forwarded, and ssh is for nobody
    rules = machine.ruleset()
    assert "tcp dport 22 iifname != { \"lo\" } drop" in rules and "\tiifname != { \"lo\" } drop" in rules
    # When it is told by hand, it is that one, whatever the configuration says
    (machine.kept / ".inside").write_text("52:54:00:5a:12:01\n")
    code, said = machine.first_boot()
    assert code == 0 and machine.inside() == "eth0", said


def test_a_third_interface_is_nobodys(machine):
    machine.interface("eth0", 1, route=True)
    machine.interface("eth1", 2)
    machine.interface("eth2", 3)
    code, said = machine.first_boot()
    assert code == 0 and "eth2 is neither: nothing of it is forwarded" in said, said
    rules = machine.ruleset()
    assert 'iifname != { "eth0", "eth1" } drop' in rules
    # Nor does anybody's packet go where the machine's identity is handed out
    assert "ip daddr { 168.63.129.16, 169.254.0.0/16 } drop" in rules


def test_an_interface_that_was_replaced_is_found_by_its_role(machine):
    machine.interface("eth0", 1, route=True)
    machine.interface("eth1", 2)
    assert machine.first_boot()[0] == 0
    # Given another one, and that the outside has its name now
    for name in ("eth0", "eth1"):
        machine.remove(name)
    machine.interface("eth1", 1, route=True)
    machine.interface("eth0", 9)
    code, said = machine.first_boot()
    assert code == 0 and "no interface is 52:54:00:5a:12:02 any more, as eth1 was" in said, said
    assert machine.inside() == "eth0"


@pytest.mark.parametrize("text", ["datapath: {inside: eth1}\n", "datapath:\n    inside: eth1\n", "audit: {}\n"])
def test_an_inside_that_cannot_be_set_is_told(machine, text):
    machine.interface("eth0", 1)
    machine.interface("eth1", 2, route=True)
    machine.config(text)
    code, said = machine.first_boot()
    assert code == 1 and 'write "  inside: eth0" below "datapath:"' in said, said


def test_a_collector_alone_has_no_sides_and_no_authority(machine):
    machine.interface("eth0", 1, route=True)
    code, said = machine.run(f"ln -s /dev/null /etc/systemd/system/sallyportd.service; exec sh {FIRST_BOOT}")
    assert code == 0 and "inside is" not in said, said
    assert not (machine.kept / "ca.pem").exists()


# --- the authority, when the power is cut ---

def lint(machine):
    done = subprocess.run([machine.lab.program("sallyport"), "ca", "lint", "--cert", machine.kept / "ca.pem", "--key",
                           machine.kept / "ca.key"], check=False, capture_output=True, text=True)
    return done.returncode == 0, done.stderr


def test_an_authority_that_was_half_made_is_made(machine):
    machine.interface("eth0", 1, route=True)
    first = machine.kept / "ca-first"
    first.mkdir()
    (first / "ca.key").write_text("the half of a key")
    assert machine.first_boot()[0] == 0
    assert lint(machine)[0] and not first.exists()
    # Between the two
    first.mkdir()
    (machine.kept / "ca.pem").rename(first / "ca.pem")
    assert machine.first_boot()[0] == 0
    assert lint(machine)[0] and not first.exists()


def test_a_key_without_its_certificate_is_not_touched(machine):
    machine.interface("eth0", 1, route=True)
    (machine.kept / "ca.key").write_text("of somebody")
    code, said = machine.first_boot()
    assert code == 1 and "ca.key has no ca.pem" in said, said
    assert (machine.kept / "ca.key").read_text() == "of somebody"


VAULT = "https://contoso.vault.azure.net/secrets/authority"


@pytest.mark.parametrize("works", [True, False])
def test_an_authority_of_a_vault_is_fetched_and_none_made_instead(machine, tmp_path, works):
    machine.interface("eth0", 1, route=True)
    (machine.kept / "ca-vault").write_text(VAULT + "\n")
    tool = tmp_path / "ca-from-vault"  # of which tests/netns/test_ca_vault.py is
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = {VAULT} ] || exit 7\nshift\n"
                    + ("exec sallyport ca init --name 'of the vault' \"$@\"\n" if works else "exit 1\n"))
    tool.chmod(0o755)
    code, said = machine.first_boot()
    if works:
        assert code == 0 and lint(machine)[0], said
        done = subprocess.run(["openssl", "x509", "-noout", "-subject", "-in", machine.kept / "ca.pem"], check=True,
                              capture_output=True, text=True)
        assert "of the vault" in done.stdout
    else:
        assert code == 1 and "there is no authority, and none is made" in said, said
        assert not (machine.kept / "ca.pem").exists() and not (machine.kept / "ca.key").exists()


# --- the data partition ---

# What initramfs-tools has, but for its panic, which boots again.
FUNCTIONS = """\
panic() { echo "PANIC: $*"; exit 9; }
get_fstype() { blkid -p -o value -s TYPE "$1" || echo unknown; }
"""
# The root is mounted below /mnt, and what is done there then is $1. What the script may call is what the
# initramfs has.
HAS = "mkdir -p /has; for one in blkid e2fsck mkdir mount sleep sh; do ln -s $(command -v $one) /has; done; "
START = f"{HAS}mkdir -p /mnt/root; cd /mnt/root; mkdir data etc var home root; export rootmnt=/mnt/root; PATH=/has sh {BEFORE_ROOT}; eval \"$1\""


def disk(machine, *make, size=64):
    path = os.path.join(machine.top, "disk")
    with open(path, "wb") as file:
        file.truncate(size << 20)
    if make:
        subprocess.run([*make, path], check=True, capture_output=True)
    machine.disk = subprocess.run(["losetup", "-f", "--show", path], check=True, capture_output=True, text=True).stdout.strip()
    return path


with open(os.path.join(TOP, "vm", "image"), encoding="utf-8") as image:
    RESERVED = re.search(r'sallyport-data "\$DATA" (\d+)', image.read())[1]
EXT4 = ("mke2fs", "-q", "-t", "ext4", "-m", RESERVED)


@pytest.fixture
def booting(machine, tmp_path):
    (tmp_path / "functions").write_text(FUNCTIONS)
    return machine


def test_what_is_written_to_etc_and_var_is_kept(booting):
    disk(booting, *EXT4)
    code, said = booting.run(START, "echo kept >/mnt/root/etc/one; echo kept >/mnt/root/var/two")
    assert code == 0, said
    code, said = booting.run(START, "cat /mnt/root/etc/one /mnt/root/var/two; findmnt -no OPTIONS /mnt/root/data")
    assert code == 0 and "kept\nkept\n" in said and "nosuid" in said, said


def test_a_data_partition_that_others_have_filled_boots(booting):
    disk(booting, *EXT4)
    fill = ("mkdir /mnt/root/data/spool; chown 65534 /mnt/root/data/spool; "
            "setpriv --reuid 65534 --regid 65534 --clear-groups dd if=/dev/zero of=/mnt/root/data/spool/all bs=64k || :")
    code, said = booting.run(START, fill)
    assert code == 0 and "No space left" in said, said
    code, said = booting.run(START, "echo a >/mnt/root/etc/a; head -c 1M /dev/zero >/mnt/root/var/b; stat -c %s /mnt/root/var/b")
    assert code == 0 and "1048576" in said, said


def test_a_damaged_one_is_mended(booting):
    path = disk(booting, *EXT4)
    assert booting.run(START, "echo kept >/mnt/root/etc/one")[0] == 0
    with open(path, "r+b") as file:
        file.seek(1024)
        file.write(bytes(1024))
    code, said = booting.run(START, "cat /mnt/root/etc/one")
    assert code == 0 and "kept" in said, said


def test_the_file_system_of_somebody_else_is_left_as_it_is(booting):
    # Given that ours was there before: its spare superblocks still are
    path = disk(booting, *EXT4)
    subprocess.run(["mkswap", path], check=True, capture_output=True)
    with open(path, "rb") as file:
        before = file.read()
    code, said = booting.run(START, "echo mounted")
    assert code == 9 and "which is not the appliance's" in said and "mounted" not in said, said
    with open(path, "rb") as file:
        assert file.read() == before


def test_without_a_data_partition_it_does_not_boot(booting):
    code, said = booting.run(START, "echo mounted")
    assert code == 9 and "there is no partition sallyport-data" in said, said


@pytest.mark.parametrize("name", ["sallyport-data", "sallyport-a"])
def test_the_disk_of_another_machine_of_the_same_image_is_not_taken(booting, tmp_path, name):
    disk(booting, *EXT4)
    for block, label in (("vda1", name), ("vda9", "ESP"), ("vdb1", name)):
        (tmp_path / "block" / block).mkdir()
        (tmp_path / "block" / block / "uevent").write_text(f"DEVNAME={block}\nPARTNAME={label}\n")
    code, said = booting.run(START, "echo mounted")
    assert code == 9 and f"two disks have a partition {name}" in said and "mounted" not in said, said
