# SPDX-License-Identifier: GPL-2.0-or-later
"""`sallyport ca import` on a terminal: it asks for the password of what is encrypted."""

import os
import signal

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key, pkcs12)
from cryptography.x509 import load_pem_x509_certificate

from lab.process import wait_for
from lab.terminal import Terminal

PASSWORD = "correct horse battery staple"


@pytest.fixture
def files(lab, tmp_path):
    """A CA of somebody's, its key encrypted in PEM and in PKCS#12."""
    certificate, key = str(tmp_path / "their.crt"), str(tmp_path / "their.key")
    lab.network.appliance.run(lab.program("sallyport"), "ca", "init", "--out-cert", certificate, "--out-key", key)
    with open(key, "rb") as file:
        private = load_pem_private_key(file.read(), None)
    with open(certificate, "rb") as file:
        public = load_pem_x509_certificate(file.read())
    locked = BestAvailableEncryption(PASSWORD.encode())
    (tmp_path / "locked.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    (tmp_path / "locked.pfx").write_bytes(pkcs12.serialize_key_and_certificates(b"ca", private, public, None, locked))
    return tmp_path


FORMS = pytest.mark.parametrize("form", [
    ["--cert", "their.crt", "--key", "locked.key"], ["--cert", "locked.pfx"],
], ids=["PEM", "PKCS#12"])


def importing(lab, files, form):
    words = [word if word.startswith("--") else str(files / word) for word in form]
    return Terminal(lab.network.appliance, [
        lab.program("sallyport"), "ca", "import", *words,
        "--out-cert", str(files / "ca.crt"), "--out-key", str(files / "ca.key")], columns=300)


def asked(terminal, form):
    terminal.wait_for(lambda lines: f"{form[-1]}: " in "".join(lines) + " ", "the question")
    assert not terminal.restored()  # what is typed is not shown


@FORMS
def test_the_password_is_asked_and_not_shown(lab, files, form):
    with importing(lab, files, form) as terminal:
        asked(terminal, form)
        terminal.press(PASSWORD.encode() + b"\r")
        assert terminal.wait() == 0, terminal.lines()
        assert terminal.restored()
        assert PASSWORD not in "\n".join(terminal.lines())
    assert os.stat(files / "ca.key").st_mode & 0o777 == 0o600
    with open(files / "ca.key", "rb") as ours, open(files / "their.key", "rb") as theirs:
        assert (load_pem_private_key(ours.read(), None).private_numbers()
                == load_pem_private_key(theirs.read(), None).private_numbers())


@FORMS
@pytest.mark.parametrize("typed", [b"wrong\r", b"\r", b"\x04", b"x" * 5000 + b"\r"],
                         ids=["wrong", "nothing", "end of input", "too much"])
def test_without_the_password_nothing_is_written(lab, files, form, typed):
    with importing(lab, files, form) as terminal:
        asked(terminal, form)
        terminal.press(typed)
        assert terminal.wait() == 1, terminal.lines()
        assert terminal.restored()
        said = "".join(terminal.lines())
        assert form[-1] in said and "password" in said.lower(), said
    assert not (files / "ca.key").exists() and not (files / "ca.crt").exists()


def test_who_gives_up_gets_his_terminal_back(lab, files):
    form = ["--cert", "locked.pfx"]
    with importing(lab, files, form) as terminal:
        asked(terminal, form)
        terminal.press(b"\x03")
        assert terminal.wait() in (1, -signal.SIGINT), terminal.lines()
        wait_for(terminal.restored, "the terminal as it was")
    assert not (files / "ca.key").exists()
