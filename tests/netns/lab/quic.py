# SPDX-License-Identifier: GPL-2.0-or-later
"""The first datagrams of a QUIC client (RFC 9001, RFC 9369), sealed as a client seals them."""

import hashlib
import hmac
import os
import socket
import ssl
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .network import family_of

VERSIONS = {
    1: (1, 0, "38762cf7f55934b34d179ae6a4c80cadccbb7f0a", b"quic"),
    2: (0x6B3343CF, 1, "0dede3def700a6db819381be6e269dcbf9bd2ed9", b"quicv2"),
}


def client_hello(name):
    """The handshake message of the TLS library's own client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()[5:]


def with_ech(hello):
    """The handshake message with an encrypted_client_hello extension (RFC 9849) at its end."""
    at = 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + struct.unpack("!H", hello[at : at + 2])[0]
    at += 1 + hello[at]
    extensions = hello[at + 2 :] + struct.pack("!HHBHHBHH", 0xFE0D, 10, 0, 1, 1, 7, 0, 0)
    body = hello[4:at] + struct.pack("!H", len(extensions)) + extensions
    return hello[:1] + len(body).to_bytes(3, "big") + body


def with_name(name):
    """The handshake message with this name, which a TLS library may refuse to send."""
    raw = name.encode("latin-1")
    stand_in = "a." + "b" * (len(raw) - 2)  # of the same length, up to that of a label
    hello = client_hello(stand_in)
    assert hello.count(stand_in.encode()) == 1
    return hello.replace(stand_in.encode(), raw)


def record(hello):
    """The handshake message as it goes over TCP."""
    return b"\x16\3\1" + struct.pack("!H", len(hello)) + hello


def send_datagrams(client, address, datagrams, port=443):
    """Sends them one after the other; returns whether they were refused."""
    with client.namespace.inside():
        stream = socket.socket(family_of(address), socket.SOCK_DGRAM)
    with stream:
        stream.settimeout(0.5)
        stream.connect((address, port))
        try:
            for datagram in datagrams:
                stream.send(datagram)
            stream.recv(1)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return False


def _expand(secret, label, length):
    label = b"tls13 " + label
    info = struct.pack("!HB", length, len(label)) + label + b"\0\1"
    return hmac.new(secret, info, hashlib.sha256).digest()[:length]


def _varint(value):
    return struct.pack("!H", value | 0x4000)


def _initial(version, destination, number, frames, size):
    wire, kind, salt, prefix = VERSIONS[version]
    secret = hmac.new(bytes.fromhex(salt), destination, hashlib.sha256).digest()
    secret = _expand(secret, b"client in", 32)
    key, iv, hp = (_expand(secret, prefix + label, n) for label, n in ((b" key", 16), (b" iv", 12), (b" hp", 16)))
    frames += b"\0" * (size - len(frames))
    head = bytes([0xC3 | kind << 4]) + struct.pack("!I", wire) + bytes([len(destination)]) + destination
    head += b"\0\0" + _varint(4 + len(frames) + 16) + struct.pack("!I", number)
    nonce = bytes(a ^ b for a, b in zip(iv, number.to_bytes(12, "big")))
    sealed = AESGCM(key).encrypt(nonce, frames, head)
    encryptor = Cipher(algorithms.AES(hp), modes.ECB()).encryptor()
    mask = encryptor.update(sealed[:16])
    head = bytearray(head)
    head[0] ^= mask[0] & 0x0F
    for i in range(4):
        head[len(head) - 4 + i] ^= mask[1 + i]
    return bytes(head) + sealed


def initial_datagrams(name, version=1, pieces=1, size=1150, hello=None):
    """The ClientHello for this name, in so many datagrams of that size, the last part first."""
    hello, destination = hello or client_hello(name), os.urandom(8)
    step = -(-len(hello) // pieces)
    spans = [(at, hello[at : at + step]) for at in range(0, len(hello), step)]
    return [
        _initial(version, destination, number, b"\x06" + _varint(at) + _varint(len(data)) + data, size)
        for number, (at, data) in enumerate(reversed(spans))
    ]
