# SPDX-License-Identifier: GPL-2.0-or-later
"""sallyportd and sallyport-collector in the appliance namespace, and the command line."""

import contextlib
import copy
import json
import os
import shutil
import signal
import socket

from . import network
from .process import Process, children_of, wait_for

USERS = {"worker": 64101, "signer": 64102, "shipper": 64103, "scout": 64104, "keeper": 64105}

# Fields of an event that hold JSON.
JSON_FIELDS = {
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tools",
    "gen_ai.response.finish_reasons", "attempts.made", "azure.content_filter", "gen_ai.input.parts",
}

# Hosts of the tests: name → addresses in the DNS.
AZURE = "res-a.openai.azure.com"
AZURE_B = "res-b.openai.azure.com"
OPENAI = "api.openai.com"
UNLISTED = "www.example.org"  # not intercepted, though its address is an endpoint's
ELSEWHERE = "files.example.org"  # not even steered

# Nothing is an endpoint but what api.openai.com resolves to: not REGION_B.
# A machine under load is given its time.
ONLY_LEARNED = {"endpoints": {"prefixes": None, "learn": "dns+sni", "hold": "2s"}}


def merge(base, changes):
    """`changes` over `base`, dictionaries key by key; None takes a key away."""
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def about(event, prompt):
    """Whether the request of the event is the one with this prompt."""
    return prompt in event.get("gen_ai.input.messages", "")


def confined():
    """The words before a command that has no more of root's rights than the unit of systemd gives."""
    unit = os.path.join(os.path.dirname(__file__), "../../../appliance/systemd/sallyportd.service.in")
    with open(unit, encoding="utf-8") as file:
        lines = [line.split("=", 1)[1] for line in file if line.startswith("CapabilityBoundingSet=")]
    rights = "".join(",+" + one.removeprefix("CAP_").lower() for line in lines for one in line.split())
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all" + rights]


def status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Appliance:
    def __init__(self, lab, directory, changes=None):
        self.lab = lab
        self.directory = directory
        self.namespace = lab.network.appliance
        self.config_path = os.path.join(directory, "sallyport.yaml")
        self.running_path = os.path.join(directory, "running.yaml")  # what the daemon started with
        self.bpf_directory = os.path.join(lab.bpf_directory, os.path.basename(directory))
        self.spool_directory = os.path.join(directory, "spool")
        self.run_directory = os.path.join(directory, "run")
        self.store_path = os.path.join(directory, "store.db")
        self.socket_path = os.path.join(directory, "collector")
        self.ca_path = os.path.join(directory, "ca.crt")
        self.ca_key_path = os.path.join(directory, "ca.key")
        self.daemon_path = lab.program("sallyportd")
        self.daemon = self.collector = None
        self.collector_options = []
        self.environment = {}  # of the daemon
        self.before = []  # words before its command
        self._notify = None
        os.makedirs(directory, exist_ok=True)
        self.config = merge(self._defaults(), changes or {})

    def _defaults(self):
        return {
            "appliance": {"name": "gate", "run_directory": self.run_directory, "workers": 2},
            "datapath": {
                "inside": network.INSIDE_INTERFACE, "bpf_directory": self.bpf_directory,
                "heartbeat_timeout": "5s",  # a machine under load is no failure
            },
            "endpoints": {
                "prefixes": [
                    network.REGION_A, network.REGION_A6, network.REGION_B, network.REGION_B6,
                    network.PLAIN,
                ],
                "resolvers": [network.DNS + ":53"],
            },
            "hosts": [
                {"pattern": "*.openai.azure.com", "provider": "azure"},
                {"pattern": OPENAI, "provider": "openai"},
            ],
            "tls": {
                "ca_certificate": self.ca_path,
                "ca_key": self.ca_key_path,
                "origin_roots": [self.lab.certificates.root_path],
                "system_roots": False,
            },
            "audit": {
                "collector_socket": self.socket_path, "spool_directory": self.spool_directory,
            },
            "processes": {role: f"{uid}:{uid}" for role, uid in USERS.items()},
        }

    # --- files ---

    def write_config(self, changes=None):
        if changes:
            self.config = merge(self.config, changes)
        with open(self.config_path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=2)  # JSON is YAML
        os.rename(self.config_path + ".new", self.config_path)

    def secret(self, name, text):
        """A file of mode 0600 with this text; returns its path."""
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path

    def make_ca(self):
        if not os.path.exists(self.ca_path):
            self.cli("ca", "init", "--out-cert", self.ca_path, "--out-key", self.ca_key_path)

    # --- programs ---

    def cli(self, *arguments, check=True):
        """Runs the `sallyport` command in the appliance."""
        return self.namespace.run(self.lab.program("sallyport"), *arguments, check=check)

    def start_collector(self):
        self.collector = Process(
            "collector",
            [
                self.lab.program("sallyport-collector"), "--store", self.store_path,
                "--socket", self.socket_path, "--user", str(USERS["shipper"]), *self.collector_options,
            ],
            self.directory, self.namespace,
        )

        def listens():
            assert self.collector.running, self.collector.log()
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as there:
                there.connect(self.socket_path)
                return True

        wait_for(listens, "collector")

    def start_daemon(self):
        """Starts sallyportd and waits until it says READY=1, as systemd would."""
        path = os.path.join(self.directory, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._close_notify()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notify.bind(path)
        shutil.copy(self.config_path, self.running_path)
        self.daemon = Process(
            "sallyportd",
            [*self.before, self.daemon_path, "--config", self.config_path],
            self.directory, self.namespace,
            environment={"NOTIFY_SOCKET": path, **self.environment}, death=signal.SIGTERM,
        )
        self.wait_notified("READY=1")

    def wait_notified(self, wanted, seconds=60.0):
        """Waits for a line of an sd_notify(3) message."""
        def notified():
            assert self.daemon.running or wanted == "STOPPING=1", (
                f"sallyportd ended ({self.daemon.popen.returncode}):\n{self.daemon.log()}"
            )
            with contextlib.suppress(BlockingIOError):
                while wanted not in self._notify.recv(4096).decode().splitlines():
                    pass
                return True

        wait_for(notified, lambda: f"{wanted} from sallyportd:\n{self.daemon.log()}", seconds)

    def notifications(self):
        """The sd_notify(3) messages that nobody has waited for yet, each as its lines. One that is
        never read makes the daemon wait in the end."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._notify.recv(4096).decode().splitlines())
        return found

    def start(self):
        others = [one for one in self.lab.appliances if one.daemon and one.daemon.running]
        assert not others, "one appliance at a time: a test file uses `standing` or makes its own"
        self.write_config()
        self.make_ca()
        self.start_collector()
        self.start_daemon()
        return self

    def stop(self):
        """A clean stop; asserts that the daemon ends well."""
        if self.daemon and self.daemon.running:
            code = self.daemon.stop(seconds=60)
            assert code == 0, f"sallyportd ended with {code}:\n{self.daemon.log()}"
        if self.collector:
            self.collector.stop()

    def close(self):
        """Ends everything whatever state it is in, and takes the kernel's part away."""
        for process in (self.daemon, self.collector):
            if process:
                with contextlib.suppress(Exception):
                    process.stop(seconds=20)
                process.kill()
        self._close_notify()
        self.lab.network.clean_appliance()
        shutil.rmtree(self.bpf_directory, ignore_errors=True)
        if self in self.lab.appliances:
            self.lab.appliances.remove(self)

    def _close_notify(self):
        if self._notify:
            self._notify.close()
            self._notify = None

    def reload(self):
        """SIGHUP, and waits until the new configuration is in force."""
        self.daemon.send(signal.SIGHUP)
        self.wait_notified("READY=1")

    def children(self, role):
        """The pids of the daemon's children of that role, by the user they run as."""
        found = []
        for pid in children_of(self.daemon.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if status(pid)["Uid"].split()[0] == str(USERS[role]):
                    found.append(pid)
        return found

    # --- what was recorded ---

    def events(self):
        """The events of the collector's store, oldest first. What is JSON inside an event stays
        text, as it is in the event."""
        if not os.path.exists(self.store_path):
            return []
        done = self.cli("events", "--store", self.store_path, "--json", "--all", "--limit", "0")
        found = [json.loads(line) for line in reversed(done.stdout.splitlines())]
        for event in found:
            for name in JSON_FIELDS & event.keys():
                event[name] = json.dumps(event[name], ensure_ascii=False)
        return found

    def wait_for_events(self, enough, where=lambda event: True, seconds=90.0):
        """Waits until enough(the events that match)."""
        found = []

        def arrived():
            found[:] = [event for event in self.events() if where(event)]
            return enough(found)

        wait_for(arrived, lambda: f"events; there are {len(found)}: {found[:3]}\n{self.logs()}",
                 seconds, every=0.1)
        return found

    def wait_events(self, n, where):
        """Waits until n events match; more is an error."""
        found = self.wait_for_events(lambda events: len(events) >= n, where)
        assert len(found) == n, found
        return found

    def event(self, prompt):
        """The only event whose request contains this text."""
        return self.wait_events(1, lambda event: about(event, prompt))[0]

    def assert_no_gaps(self):
        """The numbers of every worker's events follow each other from 1, each once."""
        streams = {}
        for event in self.events():
            key = event["event.epoch"], event["event.stream"]
            streams.setdefault(key, []).append(event["event.sequence"])
        for key, numbers in streams.items():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), key

    def status(self):
        """What it tells, whether the exit status calls it good or not."""
        return json.loads(self.cli("status", "--config", self.running_path, "--json", check=False).stdout)

    def counters(self):
        """The daemon's counters by name."""
        return self.status()["counters"]

    def endpoints(self):
        """The source of each address or network that is steered."""
        return {e["prefix"].split("/")[0]: e["source"] for e in self.status()["endpoints"]}

    def logs(self):
        return "\n".join(p.log() for p in (self.daemon, self.collector) if p)
