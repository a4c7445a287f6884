# SPDX-License-Identifier: GPL-2.0-or-later
"""The systems under comparison, all in the appliance namespace, all verifying the origin, each
with the same number of workers on the processors that are the proxy's alone."""

import contextlib
import os
import shutil
import socket
import textwrap

from lab import network
from lab.appliance import AZURE, AZURE_B, ELSEWHERE, USERS
from lab.certificates import Authority, key_pem, pem
from lab.process import Process, wait_for


# Calls to these go to the two regions, of which the first answers each tenth with 503.
FAILING, WELL = network.REGIONS["east"], network.REGIONS["west"]
POOLS = {"pool-a.openai.azure.com": network.REGION_A, "pool-b.openai.azure.com": network.REGION_B}


def add_regions(lab, environment):
    """Their origins, as whole as the other one."""
    knobs = os.path.join(lab.directory, "failing.knobs")
    with open(knobs, "w", encoding="ascii") as file:
        file.write("[x-test-status=503][x-test-every=10]")
    for name, address in POOLS.items():
        lab.add_host(name, address)
    for address, options in ((FAILING, {"knobs": knobs}), (WELL, {})):
        lab.add_origin([f"{address}:443"], journal=False, environment=environment, **options)


class Cpus:
    """The processors of this run: one for each worker of the proxy, the others for everybody else.
    A machine with too few has them all for everybody."""

    def __init__(self, workers, every=None):
        """every: those that there are; by default what this process may run on."""
        self.every = every = every or sorted(os.sched_getaffinity(0))
        self.workers = workers
        apart = len(every) > workers
        self.proxy = set(every[-workers:]) if apart else set(every)
        self.others = set(every[:-workers]) if apart else set(every)

    def begin(self):
        os.sched_setaffinity(0, self.others)

    @contextlib.contextmanager
    def for_proxy(self):
        """What is started within the block runs on the proxy's processors."""
        os.sched_setaffinity(0, self.proxy)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self.others)


class Direct:
    """No proxy at all: what client and origin cost by themselves."""

    name = "direct"
    processes = ()

    def __init__(self, lab, cpus):
        self.lab = lab
        self.connect = [f"{network.OTHER}:443"]
        self.host = ELSEWHERE
        self.sources = []
        self.urls = [f"https://{ELSEWHERE}", f"https://{ELSEWHERE}"]

    def start(self):
        pass

    def stop(self):
        pass


class Sallyport:
    name = "sallyport"

    def __init__(self, lab, cpus):
        self.lab, self.cpus = lab, cpus
        self.gate = None
        self.host = AZURE
        self.connect = [f"{network.REGION_A}:443", f"{network.REGION_B}:443"]
        self.sources = []
        self.urls = [f"https://{AZURE}", f"https://{AZURE_B}"]
        self.pool_urls = [f"https://{name}" for name in POOLS]

    def start(self):
        # Both are asked alike, whatever one answers: as HAProxy does.
        pool = {"name": "regions", "backends": ["failing", "well"], "failures": 1000, "failure_rate": 0,
                "retry_budget": 100, "affinity": "off"}
        self.gate = self.lab.appliance({
            "appliance": {"workers": self.cpus.workers}, "audit": {"spool_size": "8GiB"},
            "hosts": [{"pattern": name, "provider": "azure", "pool": "regions"} for name in POOLS] + [
                {"pattern": "*.openai.azure.com", "provider": "azure"}],
            "backends": [{"name": "failing", "host": AZURE, "addresses": [FAILING]},
                         {"name": "well", "host": AZURE, "addresses": [WELL]}],
            "pools": [pool],
        })
        self.gate.write_config()
        self.gate.make_ca()
        self.gate.start_collector()
        with self.cpus.for_proxy():
            self.gate.start_daemon()

    @property
    def processes(self):
        return [self.gate.daemon]

    @property
    def parts(self):
        """Its processes by role."""
        return {role: self.gate.children(role) for role in USERS}

    @property
    def beside(self):
        """Its CPU time is shown, and not counted: it runs on another machine."""
        return {"collector": self.gate.collector}

    def stop(self):
        if self.gate:
            self.gate.close()
            self.gate = None


class Proxy:
    """A proxy that terminates and re-encrypts, on a port of the inside address."""

    command = None

    def __init__(self, lab, cpus, port):
        self.lab, self.cpus, self.port = lab, cpus, port
        self.directory = os.path.join(lab.directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.process = None
        self.host = AZURE
        self.connect = [f"{network.INSIDE}:{port}"]
        self.sources = []
        name = f"{self.name}.bench.test"
        lab.names.set(name, network.INSIDE)
        self.urls = [f"https://{name}:{port}"] * 2
        self.certificate = self._certificate(name)

    def _certificate(self, *names):
        certificate, key = Authority("Bench CA").issue(AZURE, *names)
        return self.file("certificate.pem", pem(certificate) + key_pem(key))

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        content = content if isinstance(content, bytes) else textwrap.dedent(content).encode()
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o600)
        return path

    @classmethod
    def available(cls):
        return shutil.which(cls.command, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")

    @property
    def processes(self):
        return [self.process]

    def start(self):
        argv = self.argv()
        with self.cpus.for_proxy():
            self.process = Process(self.name, argv, self.directory, self.lab.network.appliance,
                                   environment={"HOME": self.directory})

        def listens():
            assert self.process.running, self.process.log()
            with self.lab.network.appliance.inside(), socket.socket() as probe:
                return probe.connect_ex((network.INSIDE, self.port)) == 0

        wait_for(listens, self.name, 60)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process = None


class Haproxy(Proxy):
    name = command = "haproxy"

    @property
    def pool_urls(self):
        return [url.replace(f":{self.port}", f":{self.port + 1000}") for url in self.urls]

    def argv(self):
        verified = (f"ssl verify required ca-file {self.lab.certificates.root_path} "
                    f"sni str({AZURE}) verifyhost {AZURE} alpn http/1.1")
        config = self.file("haproxy.cfg", f"""\
            global
                nbthread {self.cpus.workers}
                maxconn 9000
                ssl-default-bind-options ssl-min-ver TLSv1.2
                ssl-default-server-options ssl-min-ver TLSv1.2
            defaults
                mode http
                timeout connect 5s
                timeout client 600s
                timeout server 600s
                timeout http-keep-alive 600s
                http-reuse always
            frontend clients
                bind {network.INSIDE}:{self.port} ssl crt {self.certificate} alpn h2,http/1.1
                default_backend service
            backend service
                server origin {network.REGION_A}:443 {verified}
            frontend pool_clients
                bind {network.INSIDE}:{self.port + 1000} ssl crt {self.certificate} alpn http/1.1
                default_backend regions
            backend regions
                option http-buffer-request
                option redispatch 1
                retries 3
                retry-on 503
                server failing {FAILING}:443 {verified}
                server well {WELL}:443 {verified}
            """)
        return [self.available(), "-db", "-f", config]


class Nginx(Proxy):
    name = command = "nginx"

    def argv(self):
        config = self.file("nginx.conf", f"""\
            daemon off;
            user root;
            worker_processes {self.cpus.workers};
            pid {self.directory}/pid;
            error_log stderr;
            events {{ worker_connections 9000; }}
            http {{
                access_log off;
                client_body_temp_path {self.directory}/body;
                proxy_temp_path {self.directory}/proxy;
                fastcgi_temp_path {self.directory}/fastcgi;
                uwsgi_temp_path {self.directory}/uwsgi;
                scgi_temp_path {self.directory}/scgi;
                keepalive_timeout 600s;
                keepalive_requests 1000000000;
                upstream service {{
                    server {network.REGION_A}:443;
                    keepalive 512;
                    keepalive_requests 1000000000;
                }}
                server {{
                    listen {network.INSIDE}:{self.port} ssl backlog=4096;
                    ssl_certificate {self.certificate};
                    ssl_certificate_key {self.certificate};
                    ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_session_cache shared:sessions:10m;
                    client_max_body_size 0;
                    location / {{
                        proxy_pass https://service;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Host {AZURE};
                        proxy_buffering off;
                        proxy_request_buffering off;
                        proxy_read_timeout 600s;
                        proxy_ssl_verify on;
                        proxy_ssl_verify_depth 3;
                        proxy_ssl_trusted_certificate {self.lab.certificates.root_path};
                        proxy_ssl_name {AZURE};
                        proxy_ssl_server_name on;
                        proxy_ssl_protocols TLSv1.2 TLSv1.3;
                    }}
                }}
            }}
            """)
        return [self.available(), "-c", config, "-p", self.directory]


LOGGER = '''\
import json
import os

out = open(os.path.join(os.environ["HOME"], "flows.json"), "w")


class Logger:
    def responseheaders(self, flow):
        if flow.response.headers.get("content-type", "").startswith("text/event-stream"):
            flow.metadata["events"] = []

            def read(data):
                flow.metadata["events"].append(data)
                return data

            flow.response.stream = read

    def response(self, flow):
        if "events" in flow.metadata:
            answer = b"".join(flow.metadata["events"])
        else:
            answer = flow.response.content
        json.dump({
            "time": flow.request.timestamp_start,
            "client": flow.client_conn.peername[0],
            "host": flow.request.host,
            "path": flow.request.path,
            "status": flow.response.status_code,
            "request": flow.request.get_text(strict=False),
            "response": answer.decode(errors="replace"),
        }, out)
        out.write("\\n")


addons = [Logger()]
'''


class Mitmproxy(Proxy):
    name = "mitmproxy"
    command = "mitmdump"

    def argv(self):
        script = self.file("logger.py", LOGGER.encode())
        return [
            self.available(), "-q", "--mode", f"reverse:https://{AZURE}:443/",
            "--listen-host", network.INSIDE, "--listen-port", str(self.port),
            "--set", f"confdir={self.directory}", "--certs", f"*={self.certificate}",
            "--set", f"ssl_verify_upstream_trusted_ca={self.lab.certificates.root_path}",
            "--set", "connection_strategy=lazy", "--set", "http2=false", "-s", script,
        ]


PROXIES = {cls.name: cls for cls in (Haproxy, Nginx, Mitmproxy)}
NAMES = ["sallyport", "haproxy", "nginx", "mitmproxy", "direct"]


def make(name, lab, cpus):
    if name == "direct":
        return Direct(lab, cpus)
    if name == "sallyport":
        return Sallyport(lab, cpus)
    return PROXIES[name](lab, cpus, 8443 + list(PROXIES).index(name))
