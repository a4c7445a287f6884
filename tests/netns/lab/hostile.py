# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS peers that Python's ssl cannot be: OpenSSL itself, called by its C names."""

import ctypes
import ctypes.util

KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED = 0, 1
SET_HOST_NAME = 55  # SSL_CTRL_SET_TLSEXT_HOSTNAME
PEM = 1


def _library():
    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, *arguments in (
        ("TLS_client_method", pointer),
        ("TLS_server_method", pointer),
        ("SSL_CTX_new", pointer, pointer),
        ("SSL_CTX_free", None, pointer),
        ("SSL_CTX_use_certificate_chain_file", number, pointer, text),
        ("SSL_CTX_use_PrivateKey_file", number, pointer, text, number),
        ("SSL_new", pointer, pointer),
        ("SSL_free", None, pointer),
        ("SSL_set_fd", number, pointer, number),
        ("SSL_ctrl", ctypes.c_long, pointer, number, ctypes.c_long, text),
        ("SSL_connect", number, pointer),
        ("SSL_accept", number, pointer),
        ("SSL_do_handshake", number, pointer),
        ("SSL_key_update", number, pointer, number),
        ("SSL_read", number, pointer, text, number),
        ("SSL_write", number, pointer, text, number),
        ("SSL_shutdown", number, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class HostilePeer:
    """One side of a connection over a socket, which it closes; with `pem` (certificate and key) the
    server's side, else the client's, which asks for `name` and verifies nothing."""

    def __init__(self, stream, name=None, pem=None):
        self.library, self.stream = _library(), stream
        stream.settimeout(None)
        method = self.library.TLS_server_method if pem else self.library.TLS_client_method
        self.context = self.library.SSL_CTX_new(method())
        if pem:
            path = pem.encode()
            assert self.library.SSL_CTX_use_certificate_chain_file(self.context, path) == 1
            assert self.library.SSL_CTX_use_PrivateKey_file(self.context, path, PEM) == 1
        self.ssl = self.library.SSL_new(self.context)
        assert self.library.SSL_set_fd(self.ssl, stream.fileno()) == 1
        if name:
            self.library.SSL_ctrl(self.ssl, SET_HOST_NAME, 0, name.encode())
        done = self.library.SSL_accept(self.ssl) if pem else self.library.SSL_connect(self.ssl)
        assert done == 1, "no handshake"

    def write(self, data):
        assert self.library.SSL_write(self.ssl, data, len(data)) == len(data)

    def read(self):
        memory = ctypes.create_string_buffer(65536)
        n = self.library.SSL_read(self.ssl, memory, len(memory))
        return memory.raw[: max(0, n)]

    def end(self):
        """Says by TLS that nothing more will be sent (close_notify); what comes can be read still."""
        assert self.library.SSL_shutdown(self.ssl) == 0

    def read_until(self, mark):
        data = b""
        while mark not in data:
            got = self.read()
            assert got, data
            data += got
        return data

    def flood(self, most, kind=KEY_UPDATE_REQUESTED):
        """KeyUpdates, without ever reading. True: the other side put an end to it before `most`
        were sent."""
        for _ in range(most):
            if self.library.SSL_key_update(self.ssl, kind) != 1:
                return True
            if self.library.SSL_do_handshake(self.ssl) != 1:
                return True
        return False

    def close(self):
        self.library.SSL_free(self.ssl)
        self.library.SSL_CTX_free(self.context)
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
