# SPDX-License-Identifier: GPL-2.0-or-later
"""What Azure gives credentials out by, behind its own addresses and names: the instance metadata
service at 169.254.169.254, Key Vault and Entra's token endpoint with TLS; and their real failures."""

import base64
import http.server
import json
import os
import ssl
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

METADATA = "169.254.169.254"
CLOUD = "10.202.0.50"
VAULT = "contoso.vault.azure.net"
LOGIN = "login.microsoftonline.com"
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_ID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


class Azure:
    """Raises the three in the origin's namespace. What is set may change at any time:

    secrets     name → value, in the vault
    lifetime    of tokens, in seconds
    failing     "imds", "vault" or "login" → (status, body, headers), or "slow", or "reset"
    asked       of each: the requests that came, in order
    """

    def __init__(self, lab):
        self.secrets, self.lifetime, self.failing = {}, 86400, {}
        self.asked = {"imds": [], "vault": [], "login": []}
        self.client_secret, self.certificate = "app-secret-0123456789", None
        self.tokens, self._servers, self._lab = {}, [], lab
        origin = lab.network.origin
        for address in (METADATA + "/32", CLOUD + "/24"):
            origin.run("ip", "addr", "add", address, "dev", "eth0", check=False)
        lab.network.appliance.run("ip", "route", "replace", METADATA, "via", "10.202.0.2")
        for name in (VAULT, LOGIN):
            lab.add_host(name, CLOUD)
        self._serve((METADATA, 80), None)
        self._serve((CLOUD, 443), lab.certificates)

    def _serve(self, address, certificates):
        azure = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self):
                azure._answer(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        with self._lab.network.origin.inside():
            server = http.server.ThreadingHTTPServer(address, Handler)
        server.daemon_threads = True
        if certificates:
            server.socket = self._context(certificates).wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    @staticmethod
    def _context(certificates):
        def named(connection, name, _):
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            made.load_cert_chain(os.path.join(certificates.directory, f"{name or 'default'}.pem"))
            connection.context = made

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(certificates.directory, "default.pem"))
        context.sni_callback = named
        return context

    # --- who is asked ---

    def _answer(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length).decode()
        host = request.headers["Host"]
        who = "imds" if host == METADATA else "vault" if host == VAULT else "login"
        self.asked[who].append((request.path, dict(request.headers), body))
        failure = self.failing.get(who)
        if failure == "slow":
            time.sleep(20)
            return
        if failure == "reset":
            request.close_connection = True
            return
        status, answer, *more = failure or getattr(self, "_" + who)(request, body)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        request.send_response(status)
        for name, value in (more[0] if more else {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

    def _token(self, audience):
        # As long as one of Entra's, in its alphabet.
        token = "eyJ0eXAi." + base64.urlsafe_b64encode(os.urandom(1500)).decode().rstrip("=") + ".c2ln"
        self.tokens[token] = audience
        return token

    def _imds(self, request, _):
        """https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"""
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if request.headers["Metadata"] != "true":
            return 400, {"error": "invalid_request", "error_description": "Required metadata header not specified"}
        if url.path != "/metadata/identity/oauth2/token" or query.get("api-version") != "2018-02-01":
            return 404, {"error": "not_found"}
        if not query["resource"].startswith("https://"):
            return 400, {"error": "invalid_resource", "error_description": "AADSTS500011"}
        # Its numbers are texts.
        return 200, {"access_token": self._token(query["resource"]), "expires_in": str(self.lifetime),
                     "resource": query["resource"], "token_type": "Bearer"}

    def _login(self, request, body):
        form = dict(urllib.parse.parse_qsl(body))
        if request.path != f"/{TENANT}/oauth2/v2.0/token" or form.get("client_id") != CLIENT_ID:
            return 400, {"error": "invalid_request", "error_codes": [900023]}
        if form.get("client_secret") != self.client_secret and not self._proves(form, request.path):
            return 401, {"error": "invalid_client", "error_codes": [7000215],
                         "error_description": f"AADSTS7000215: {form.get('client_secret')} is wrong."}
        scope = form["scope"]
        assert scope.endswith("/.default") and form["grant_type"] == "client_credentials"
        return 200, {"access_token": self._token(scope.removesuffix("/.default")), "token_type": "Bearer",
                     "expires_in": self.lifetime, "ext_expires_in": self.lifetime}

    def _proves(self, form, path):
        """Whether the assertion is signed by the certificate's key, for this endpoint, and now."""
        if not self.certificate or "client_assertion" not in form:
            return False
        signed, _, signature = form["client_assertion"].rpartition(".")
        header, claims = (json.loads(unbase64url(part)) for part in signed.split("."))
        self.certificate.public_key().verify(
            unbase64url(signature), signed.encode(),
            padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256())
        return (header["alg"] == "PS256"
                and unbase64url(header["x5t#S256"]) == self.certificate.fingerprint(hashes.SHA256())
                and claims["aud"] == f"https://{LOGIN}{path}" and claims["iss"] == claims["sub"] == CLIENT_ID
                and claims["nbf"] <= time.time() + 60 and time.time() < claims["exp"] < time.time() + 600
                and form["client_assertion_type"].endswith(":jwt-bearer"))

    def _vault(self, request, _):
        """https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret"""
        url = urllib.parse.urlsplit(request.path)
        token = (request.headers["Authorization"] or "").removeprefix("Bearer ")
        if self.tokens.get(token) != "https://vault.azure.net":
            return 401, {"error": {"code": "Unauthorized", "message": f"{token} is not for this audience"}}
        if dict(urllib.parse.parse_qsl(url.query)).get("api-version") != "7.4":
            return 400, {"error": {"code": "BadParameter", "message": "api-version"}}
        name = url.path.removeprefix("/secrets/")
        if name not in self.secrets:
            return 404, {"error": {"code": "SecretNotFound", "message": f"{name} was not found"}}
        return 200, {"value": self.secrets[name], "id": f"https://{VAULT}/secrets/{name}/1",
                     "attributes": {"enabled": True, "created": 1, "updated": 1}}

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
