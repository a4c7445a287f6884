# SPDX-License-Identifier: GPL-2.0-or-later
"""What operators do besides: a new authority, backup and restore, a bundle for who helps, monitoring."""

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

from lab import exposition
from lab.appliance import AZURE
from lab.lab import TOP
from test_processes import slow_stream

OPERATIONS = os.path.join(TOP, "appliance", "operations")
MONITORING = os.path.join(TOP, "appliance", "monitoring")


@pytest.fixture(scope="module")
def gate(lab):
    made = lab.appliance()
    try:
        yield made.start()
    finally:
        made.close()


def fingerprint(lab, gate, path):
    return gate.cli("ca", "export", "--cert", path, "--fingerprint").stdout.strip()


def issuer_key(client):
    """What the leaf was signed by."""
    import ssl

    from cryptography import x509

    with client.tls(AZURE) as connection:
        leaf = x509.load_der_x509_certificate(connection.stream.getpeercert(True))
        assert isinstance(connection.stream, ssl.SSLSocket)
    return leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier


def test_a_new_authority_with_both_roots_trusted(lab, gate, prompt):
    """As the page ca-rotation.md tells it."""
    old, new = gate.ca_path, os.path.join(gate.directory, "ca-next.pem")
    new_key = os.path.join(gate.directory, "ca-next.key")
    gate.cli("ca", "init", "--name", "sallyport CA next", "--out-cert", new, "--out-key", new_key)
    gate.cli("ca", "lint", "--cert", new, "--key", new_key)
    both = os.path.join(gate.directory, "both.pem")
    with open(both, "w", encoding="ascii") as file:
        for path in (old, new):
            file.write(gate.cli("ca", "export", "--cert", path).stdout)
    client = lab.client()
    client.ca = both
    before = issuer_key(client)
    stream = slow_stream(client, prompt)
    os.rename(new_key, gate.ca_key_path)
    os.rename(new, gate.ca_path)
    gate.cli("check", gate.config_path)
    gate.reload()
    assert stream.join().body.endswith(b"data: [DONE]\n\n")
    assert issuer_key(client) != before
    assert client.chat(AZURE, prompt).status == 200


@pytest.mark.parametrize("change, back, told", [
    (lambda path: os.chown(path, 4711, 0), lambda path: os.chown(path, 0, 0), "is owned by uid 4711"),
    (lambda path: os.chmod(path, 0o640), lambda path: os.chmod(path, 0o600), "has mode 0640"),
], ids=["owner", "mode"])
def test_a_key_that_others_get_at_is_not_taken_and_calls_go_on(lab, gate, prompt, change, back, told):
    change(gate.ca_key_path)
    try:
        done = gate.cli("check", gate.config_path, check=False)
        assert done.returncode == 1 and f"{gate.ca_key_path}: {told}" in done.stderr, done
        gate.daemon.send(signal.SIGHUP)
        gate.daemon.wait_for_log(told, 60)
        assert lab.client(gate).chat(AZURE, prompt).status == 200
    finally:
        back(gate.ca_key_path)
    gate.reload()
    assert gate.cli("check", gate.config_path).returncode == 0


def make_root(gate, path):
    """What a machine has below /, of this gate."""
    for name in ("etc/sallyport", "var/lib/sallyport", "run"):
        os.makedirs(os.path.join(path, name))
    for source in (gate.ca_path, gate.ca_key_path, gate.config_path):
        shutil.copy(source, os.path.join(path, "etc/sallyport"))
    shutil.copytree(gate.spool_directory, os.path.join(path, "var/spool/sallyport"))
    # The store itself, while its collector writes.
    os.symlink(gate.store_path, os.path.join(path, "var/lib/sallyport/events"))


def backup(root, *words, check=True):
    done = subprocess.run([os.path.join(OPERATIONS, "sallyport-backup"), *words], capture_output=True, text=True,
                          check=False, env={**os.environ, "SALLYPORT_ROOT": str(root)})
    assert not check or done.returncode == 0, done
    return done


def test_backup_and_restore(lab, gate, prompt, tmp_path):
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    gate.event(prompt)
    root, saved = tmp_path / "root", tmp_path / "saved.tar.gz"
    make_root(gate, str(root))
    backup(root, str(saved))
    assert saved.stat().st_mode & 0o777 == 0o600
    assert "is there already" in backup(root, str(saved), check=False).stderr
    # All is lost, and comes back on another machine.
    fresh = tmp_path / "fresh"
    (fresh / "run").mkdir(parents=True)
    backup(fresh, "--restore", str(saved))
    for name in ("ca.pem", "ca.key", "sallyport.yaml"):
        name = {"ca.pem": os.path.basename(gate.ca_path)}.get(name, name)
        assert (fresh / "etc/sallyport" / name).read_bytes() == (root / "etc/sallyport" / name).read_bytes()
    assert (fresh / "etc/sallyport/ca.key").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(fresh / "var/spool/sallyport")) == sorted(os.listdir(root / "var/spool/sallyport"))
    found = gate.cli("events", "--store", str(fresh / "var/lib/sallyport/events"), "--json", "--limit", "0")
    assert prompt in found.stdout
    # What is there is not overwritten, and nothing is touched while the daemon runs.
    backup(fresh, "--restore", str(saved))
    assert (fresh / "etc/sallyport.before-restore/ca.key").exists()
    assert "move it away" in backup(fresh, "--restore", str(saved), check=False).stderr
    (fresh / "run/sallyport").mkdir()
    (fresh / "run/sallyport/running.yaml").write_text("")
    assert "sallyportd runs" in backup(fresh, "--restore", str(saved), check=False).stderr
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(saved.read_bytes()[:100])
    (fresh / "run/sallyport/running.yaml").unlink()
    assert "is damaged" in backup(fresh, "--restore", str(broken), check=False).stderr


def test_the_bundle_has_no_secrets(lab, gate, prompt, tmp_path):
    assert lab.client(gate).chat(AZURE, prompt, headers={"api-key": "secret-of-the-client"}).status == 200
    gate.event(prompt)
    made = str(tmp_path / "bundle.tar.gz")
    gate.namespace.run("env", f"SALLYPORT_CONFIG={gate.config_path}",
                       f"PATH={os.path.dirname(lab.program('sallyport'))}:{os.environ['PATH']}",
                       os.path.join(OPERATIONS, "sallyport-bundle"), made)
    with tarfile.open(made) as tar:
        texts = {os.path.basename(one.name): tar.extractfile(one).read().decode(errors="replace")
                 for one in tar.getmembers() if one.isfile()}
    assert json.loads(texts["status.json"])["inspecting"]
    assert json.loads(texts["selftest.json"])["checks"]
    assert "sallyport_inspecting 1" in texts["metrics"]
    assert '"inside"' in texts["configuration"] and "ip_forward" in texts["sysctl"]
    with open(gate.ca_key_path, encoding="ascii") as file:
        key = file.read().splitlines()[1]
    everything = "\n".join(texts.values())
    for secret in (prompt, "Answer to", "secret-of-the-client", key, "PRIVATE KEY"):
        assert secret not in everything, secret


def test_what_is_monitored_is_served(gate):
    """Each metric of the rules and of the dashboard exists, in the spelling of the exposition."""
    gate.cli("selftest", "--config", gate.config_path, "--no-call", check=False)
    served = exposition.parse(gate.cli("metrics", "--config", gate.config_path).stdout).keys()
    for name in ("sallyport.rules.yml", "grafana.json"):
        with open(os.path.join(MONITORING, name), encoding="utf-8") as file:
            text = file.read()
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "description:")))
        used = set(re.findall(r"\bsallyport_[a-z_]+", text))
        assert len(used) > 10 and used <= served, used - served
    with open(os.path.join(MONITORING, "grafana.json"), encoding="utf-8") as file:
        assert len({panel["id"] for panel in json.load(file)["panels"]}) == 12


# A root of its own over this machine's, thrown away with the shell.
TRUST = r"""
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
export TRUST_ROOT=$1/root
trusted() { chroot "$TRUST_ROOT" openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt "$1" >/dev/null 2>&1; }
trust=$2; shift 2
! trusted "$1" && ! trusted "$2"
"$trust" "$1" >/dev/null 2>&1
trusted "$1" && ! trusted "$2"
# Both, while one takes the other's place
"$trust" "$2" sallyport-next >/dev/null 2>&1
trusted "$1" && trusted "$2"
"$trust" --remove sallyport >/dev/null 2>&1
! trusted "$1" && trusted "$2"
! "$trust" "$3"
! "$trust" "$1" ../../etc/name
"""


def test_a_machine_is_made_to_trust_the_root(gate, tmp_path):
    certificates = [gate.ca_path]
    for name in ("next", "both"):
        certificates.append(str(tmp_path / f"{name}.pem"))
    gate.cli("ca", "init", "--name", "another", "--out-cert", certificates[1], "--out-key", str(tmp_path / "next.key"))
    # A file that has the key in it as well is for nobody
    with open(certificates[2], "w", encoding="ascii") as file:
        for part in (certificates[1], str(tmp_path / "next.key")):
            with open(part, encoding="ascii") as text:
                file.write(text.read())
    (tmp_path / "top").mkdir()
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euxc", TRUST, "sh",
                           str(tmp_path / "top"), os.path.join(OPERATIONS, "trust-root"), *certificates], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "has a private key in it" in done.stderr and "usage: trust-root" in done.stderr
