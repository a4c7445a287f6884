# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of each source address, as sallyport sources, top and metrics show it."""

import contextlib
import json
import re
import socket
import threading
import time

import pytest

from lab import exposition, network
from lab.appliance import AZURE
from lab.process import Process, wait_for
from lab.terminal import Terminal

LISTEN = "127.0.0.1:9464"
ETHERNET, IPV4, IPV6, UDP = 14, 20, 40, 8
PTR = 12


def sources(gate, *options):
    done = gate.cli("sources", "--config", gate.running_path, "--json", *options)
    return json.loads(done.stdout)


def source(gate, address):
    found = [one for one in sources(gate)["sources"] if one["address"] == address]
    assert len(found) <= 1
    return found[0] if found else None


def metrics(gate, *options):
    done = gate.cli("metrics", "--config", gate.running_path, *options)
    assert done.stderr == ""
    return exposition.parse(done.stdout)


def send_datagrams(lab, source_address, to, n, size):
    with lab.network.client.inside():
        sender = socket.socket(network.family_of(to), socket.SOCK_DGRAM)
    with sender:
        sender.bind((source_address, 0))
        for _ in range(n):
            with contextlib.suppress(ConnectionRefusedError):
                sender.sendto(bytes(size), (to, 9))


class Since:
    """What was counted of a source from here on."""

    def __init__(self, gate, address):
        self.gate, self.address = gate, address
        self.before = source(gate, address) or {"drops": {}}

    def now(self):
        after = source(self.gate, self.address) or {"drops": {}}
        return {name: value - self.before.get(name, 0) for name, value in after.items()
                if isinstance(value, int)}

    def wait(self, **wanted):
        """Waits until these are exactly what was counted."""
        def counted():
            found = self.now()
            return all(found.get(name) == value for name, value in wanted.items()) and found

        return wait_for(counted, lambda: f"{wanted}; there is {self.now()}", 60)


# --- sources ---


@pytest.mark.parametrize("address, to, header", [
    (network.OTHER_CLIENTS[0], network.OTHER, IPV4),
    (network.CLIENT6, network.OTHER6, IPV6),
])
def test_packets_and_bytes_are_counted_exactly(lab, standing, address, to, header):
    # Neighbours are known before: whatever else the kernel sends comes first.
    send_datagrams(lab, address, to, 1, 1)
    wait_for(lambda: source(standing, address), address)
    time.sleep(0.2)
    since = Since(standing, address)
    send_datagrams(lab, address, to, 20, 100)
    counted = since.wait(packets=20)
    assert counted["bytes"] == 20 * (ETHERNET + header + UDP + 100)
    assert counted["steered_packets"] == counted["syns"] == counted["passed"] == 0


class Server:
    """Takes TCP connections that are none of ours, and ends each when its client does."""

    def __init__(self, lab, address, port):
        with lab.network.origin.inside():
            self.listener = socket.create_server((address, port))
        self.listener.settimeout(30)

    def accept(self):
        stream, _ = self.listener.accept()
        stream.settimeout(30)
        return stream

    def close(self):
        self.listener.close()


@pytest.fixture
def server(lab):
    made = Server(lab, network.OTHER, 8080)
    yield made
    made.close()


def test_connections_are_counted_as_they_open_and_close(lab, standing, server):
    address = network.OTHER_CLIENTS[1]
    since = Since(standing, address)
    client = lab.client(standing)
    # Given three connections that pass
    passed = []
    for _ in range(3):
        passed.append((client.tcp(network.OTHER, 8080, source=address), server.accept()))
    since.wait(syns=3, opened=3, passed=3, steered=0, closed=0, active=3)
    # Of which one is closed by both sides, and one reset
    for end in passed[0]:
        end.close()
    since.wait(closed=1, resets=0, active=2)
    passed[1][0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    passed[1][0].close()
    since.wait(closed=1, resets=1, active=1)
    before = since.now()
    assert before["steered_packets"] == before["steered_bytes"] == 0
    # And one that is steered
    with client.tls(AZURE, source=address):
        since.wait(syns=4, opened=4, passed=3, steered=1, active=2)
    since.wait(active=1)
    counted = since.now()
    assert counted["steered_packets"] == counted["packets"] - before["packets"]
    assert counted["steered_bytes"] == counted["bytes"] - before["bytes"] > 500
    assert counted["bytes_to"] > 1000  # the certificate
    assert counted["syns_again"] == 0
    for end in (*passed[1], *passed[2]):
        end.close()
    since.wait(active=0, closed=counted["closed"] + 1)


def test_a_drop_is_counted_with_its_reason(lab, standing):
    address = network.OTHER_CLIENTS[2]
    since = Since(standing, address)
    before = (source(standing, address) or {"drops": {"flags": 0}})["drops"]["flags"]
    # Given a TCP segment without any flag
    with lab.network.client.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with raw:
        raw.bind((address, 0))
        raw.sendto(b"\x10\x00\x01\xbb" + bytes(8) + b"\x50\x00\x20\x00" + bytes(4), (network.OTHER, 0))
    since.wait(packets=1)
    assert source(standing, address)["drops"]["flags"] == before + 1
    shown = standing.cli("sources", "--config", standing.running_path).stdout
    line = next(line for line in shown.splitlines() if line.startswith(address + " "))
    assert f"  {before + 1} flags" in line


def test_sources_are_sorted_and_limited(lab, standing):
    for address, n in zip(network.OTHER_CLIENTS, (30, 90, 60)):
        send_datagrams(lab, address, network.OTHER, n, 1)
    for column in ("packets", "bytes", "syns", "active", "drops"):
        found = sources(standing, "--sort", column)["sources"]
        values = [sum(one["drops"].values()) if column == "drops" else one[column] for one in found]
        assert values == sorted(values, reverse=True), column
    assert len(sources(standing, "--limit", "2")["sources"]) == 2
    assert sources(standing, "--limit", "2")["total"] == len(found)
    refused = standing.cli("sources", "--sort", "packets/s", check=False)
    assert refused.returncode == 2 and 'no column "packets/s"' in refused.stderr
    assert standing.cli("sources", "--limit", "-1", check=False).returncode == 2


@pytest.fixture
def reverse_names(lab):
    """Names of two clients: a good one, and one that would do harm on a terminal."""
    names = {
        network.CLIENT: [b"client", b"example"],
        network.OTHER_CLIENTS[0]: [b"\x1b[31mred", b"a" * 60, b"b" * 60, b"c" * 60],
    }
    zone = {}
    for address, labels in names.items():
        reversed_name = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        zone[reversed_name] = b"".join(bytes([len(one)]) + one for one in labels) + b"\0"
        lab.names.set(reversed_name)
        lab.names.records[reversed_name, PTR] = [zone[reversed_name]]
    yield
    for name in zone:
        del lab.names.zone[name]
        del lab.names.records[name, PTR]


def test_names_stand_beside_addresses_and_do_no_harm(lab, standing, reverse_names):
    for address in (network.CLIENT, *network.OTHER_CLIENTS[:2]):
        send_datagrams(lab, address, network.OTHER, 1, 1)
    found = {one["address"]: one.get("name") for one in sources(standing, "--names")["sources"]}
    assert found[network.CLIENT] == "client.example"
    assert found[network.OTHER_CLIENTS[1]] is None
    harmful = found[network.OTHER_CLIENTS[0]]
    assert harmful is None or (harmful.isprintable() and harmful.isascii() and len(harmful) < 128)
    done = standing.cli("sources", "--config", standing.running_path, "--names")
    assert "  client.example\n" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()


def test_a_dns_that_does_not_answer_delays_nothing_for_long(lab, standing):
    send_datagrams(lab, network.CLIENT, network.OTHER, 1, 1)
    changed = json.loads(json.dumps(standing.config))
    changed["endpoints"]["resolvers"] = ["10.202.0.99:53"]  # nobody
    path = standing.config_path + ".silent"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(changed, file)
    started = time.monotonic()
    done = standing.cli("sources", "--config", path, "--json", "--names")
    assert time.monotonic() - started < 10
    assert all("name" not in one for one in json.loads(done.stdout)["sources"])
    started = time.monotonic()
    standing.cli("top", "--config", path, "--names", "--batch", "2", "--interval", "0.2")
    assert time.monotonic() - started < 2


# --- top ---


def test_top_tells_rates_in_plain_text(lab, standing):
    busy, done = network.OTHER_CLIENTS[1], []

    def batch():
        done.append(standing.cli("top", "--config", standing.running_path, "--batch", "3",
                                 "--interval", "0.5", "--sort", "packets/s").stdout)

    thread = threading.Thread(target=batch)
    thread.start()
    while thread.is_alive():
        send_datagrams(lab, busy, network.OTHER, 5, 1000)
        time.sleep(0.02)
    thread.join()
    text = done[0]
    assert text.replace("\n", "").isprintable()
    states = r"inspected; record: (?:arrives|waits); workers: 2 of 2 alive; fail: closed; "
    assert len(re.findall(states, text)) == 3
    tables = re.findall(r"\n\n(address .*(?:\n[0-9a-f]+[.:].*)+)", text)
    assert len(tables) == 3
    for table in tables:
        headings, first, *_ = table.splitlines()
        assert "[packets/s]" in headings
        row = dict(zip(re.sub(r"[\[\]]", "", headings).split(), first.split()))
        assert row["address"] == busy
        assert 10 < float(row["packets/s"].rstrip("k")) < 1000
        assert row["bytes/s"].endswith("k")


def test_top_once_is_one_round(standing):
    done = standing.cli("top", "--config", standing.running_path, "--once", "--interval", "0.1")
    assert done.stdout.count("inspected; record: ") == 1


def test_top_without_a_terminal_says_what_to_do(standing):
    done = standing.cli("top", "--config", standing.running_path, check=False)
    assert done.returncode == 1 and "--batch" in done.stderr and done.stdout == ""


def sorted_column(lines):
    found = re.search(r"\[(\S+)\]", lines[4])
    return found and found[1]


def addresses(lines):
    """The addresses shown from top to bottom."""
    return [line.split()[0] for line in lines[5:] if line]


def v4(lines):
    """Of these the IPv4 ones: neighbour discovery makes others appear at any moment."""
    return [one for one in addresses(lines) if ":" not in one]


@pytest.fixture
def top(lab, standing):
    for address, n in zip(network.OTHER_CLIENTS, (10, 30, 20)):
        send_datagrams(lab, address, network.OTHER, n, 500)
    argv = [lab.program("sallyport"), "top", "--config", standing.running_path,
            "--interval", "0.3", "--sort", "bytes"]
    with Terminal(standing.namespace, argv) as terminal:
        terminal.wait_for(lambda lines: sorted_column(lines) == "bytes", "table")
        yield terminal


def test_top_sorts_by_the_column_that_is_chosen(top):
    lines = top.wait_for(lambda lines: len(v4(lines)) >= 3 and lines, "sources")
    assert lines[0].startswith("inspected; record: ") and "gate on inside" in lines[0]
    order = v4(lines)
    # When the order is turned, so are the rows
    top.press(b"r")
    top.wait_for(lambda lines: v4(lines) == order[::-1], "reversed rows")
    top.press(b"r")
    top.wait_for(lambda lines: v4(lines) == order, "rows")
    # And left and right choose the column
    for key, column in ((top.RIGHT, "packets_to"), (b">", "bytes_to"), (top.LEFT, "packets_to"),
                        (b"<", "bytes"), (b"<", "packets")):
        top.press(key)
        top.wait_for(lambda lines: sorted_column(lines) == column, column)
    # As far as the address, which is sorted from the lowest on
    top.press(b"<" * 50)
    lines = top.wait_for(lambda lines: sorted_column(lines) == "address" and lines, "address")
    assert v4(lines) == sorted(v4(lines), key=socket.inet_aton)
    assert not top.unknown


def test_top_shows_names_and_help_when_asked(lab, top, reverse_names):
    send_datagrams(lab, network.CLIENT, network.OTHER, 5, 500)
    top.press(b"n")
    top.wait_for(lambda lines: any("client.example" in line for line in lines), "name")
    top.press(b"n")
    top.wait_for(lambda lines: not any("client.example" in line for line in lines), "no name")
    top.press(b"?")
    top.wait_for(lambda lines: any(line.startswith("q ") for line in lines), "help")
    top.press(b"x")
    top.wait_for(lambda lines: sorted_column(lines) == "bytes", "table")


def test_top_fits_a_terminal_that_changes_its_size(top):
    def columns_shown(lines):
        return len(lines[4].split())

    narrow = top.wait_for(columns_shown, "headings")
    top.resize(50, 200)
    wide = top.wait_for(lambda lines: sorted_column(lines) == "bytes"
                        and columns_shown(lines) > narrow and columns_shown(lines), "more columns")
    top.resize(7, 30)
    lines = top.wait_for(lambda lines: sorted_column(lines) == "bytes" and len(lines) == 7
                         and columns_shown(lines) < wide and lines, "fewer columns")
    assert len(addresses(lines)) == 2
    # No larger than a stamp, and back
    top.resize(2, 5)
    top.wait_for(lambda lines: lines[0] == "inspe", "anything")
    top.resize(24, 80)
    top.wait_for(lambda lines: columns_shown(lines) == narrow, "the table again")
    top.press(b"q")
    assert top.wait() == 0


@pytest.mark.parametrize("end", [b"q", b"\x03"])
def test_top_gives_the_terminal_back(top, end):
    assert not top.restored()
    top.press(end)
    assert top.wait() == 0
    assert top.restored()


# --- metrics ---


def test_metrics_are_read_strictly_and_agree_with_the_rest(lab, standing):
    client = lab.client(standing)
    for _ in range(2):
        client.tls(AZURE).close()
    client.tcp(network.OTHER).close()
    send_datagrams(lab, network.CLIENT6, network.OTHER6, 3, 10)
    time.sleep(0.3)  # what is in flight arrives
    listed = sources(standing)["sources"]
    families = metrics(standing)
    status = json.loads(standing.cli("status", "--config", standing.running_path, "--json").stdout)

    for name in listed[0]:
        family = families.get(f"sallyport_source_{name}_total")
        if name in ("address", "drops", "active", "seen_ns", "seen_age_ns"):
            assert family is None or name == "drops"
            continue
        assert family.values("address") == {one["address"]: one[name] for one in listed}, name
    for one in listed:
        for reason, n in one["drops"].items():
            assert families["sallyport_source_drops_total"].value(
                address=one["address"], reason=reason) == n
        assert abs(families["sallyport_source_seen_timestamp_seconds"].value(
            address=one["address"]) - (time.time() - one["seen_age_ns"] / 1e9)) < 5
    packets = families["sallyport_packets_total"].values("outcome")
    assert packets.keys() == status["kernel"]["packets"].keys()
    assert packets["opened"] >= 2 and "opened (SYN to an endpoint: steered)" in (
        families["sallyport_packets_total"].help)
    assert families["sallyport_inspecting"].value() == 1
    assert families["sallyport_workers_alive"].value() == 2
    assert families["sallyport_program_attached"].values("program") == {
        "admit": 1, "steer": 1, "reply": 1, "select": 1, "guard": 1}
    assert families["sallyport_endpoints"].value(source="configured", fail="closed") == 5
    assert set(families["sallyport_flows"].values("state")) == {
        "opening", "open", "closing", "closed"}
    assert families["sallyport_fail_mode"].values("mode") == {"closed": 1, "open": 0}
    for name in status["counters"]:
        family = families[f"sallyport_{name.replace('.', '_')}_total"]
        assert family.type == "counter" and family.help
    assert families["sallyport_client_accepted_total"].value() >= 2


def test_sources_that_are_not_shown_are_summed(lab, standing):
    for address in (network.CLIENT, *network.OTHER_CLIENTS):
        send_datagrams(lab, address, network.OTHER, 2, 10)
    time.sleep(0.3)
    everything, few = metrics(standing), metrics(standing, "--sources", "1")
    for name, family in everything.items():
        if name.startswith("sallyport_source_") and name.endswith("_total"):
            assert sum(few[name].samples.values()) == sum(family.samples.values()), name
    assert set(few["sallyport_source_bytes_total"].values("address")) == {
        max(everything["sallyport_source_bytes_total"].values("address").items(),
            key=lambda one: one[1])[0], "other"}
    refused = standing.cli("metrics", "--sources", "10001", check=False)
    assert refused.returncode == 2


class Scraper:
    """Requests to the metrics, from the appliance itself."""

    def __init__(self, gate):
        self.gate = gate
        address, port = LISTEN.rsplit(":", 1)
        self.where = address, int(port)

    def connect(self):
        with self.gate.namespace.inside():
            stream = socket.create_connection(self.where, 30)
        return stream

    def ask(self, request):
        """The whole answer: status, head, body."""
        with self.connect() as stream:
            stream.sendall(request)
            answer = b""
            while data := stream.recv(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode("latin-1").lower(), body

    def get(self, path="/metrics", method="GET"):
        return self.ask(f"{method} {path} HTTP/1.1\r\nHost: gate\r\n\r\n".encode())


# What systemd leaves the service: see sallyport-metrics.service.
CONFINED = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+bpf,+net_admin"]


@pytest.fixture
def scraper(lab, standing):
    server = Process("metrics", [*CONFINED, lab.program("sallyport"), "metrics", "--config",
                                 standing.running_path, "--listen", LISTEN],
                     standing.directory, standing.namespace)
    server.wait_for_log(f"serving http://{LISTEN}/metrics")
    try:
        yield Scraper(standing)
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def test_metrics_are_served(standing, scraper):
    status, head, body = scraper.get()
    assert status == 200
    assert "content-type: text/plain; version=0.0.4" in head
    served = exposition.parse(body.decode())
    # With the few rights of the service it sees all but what takes CAP_SYS_ADMIN.
    printed = metrics(standing)
    assert printed.keys() - served.keys() <= {"sallyport_admission_prefixes"}
    for name in ("inspecting", "program_attached", "workers_alive", "endpoints"):
        assert served[f"sallyport_{name}"].samples == printed[f"sallyport_{name}"].samples, name
    assert served["sallyport_source_bytes_total"].samples


def test_other_requests_are_refused(scraper):
    status, head, body = scraper.get(method="HEAD")
    assert status == 200 and body == b"" and "content-length: " in head
    for path in ("/", "/metrics/", "/metrics2", "/../etc/passwd", "/%2e%2e/metrics"):
        assert scraper.get(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "FOO"):
        status, head, _ = scraper.get(method=method)
        assert status == 405 and "allow: get, head" in head, method
    status, _, _ = scraper.ask(b"POST /metrics HTTP/1.1\r\nHost: gate\r\n"
                               b"Content-Length: 1000000\r\n\r\n" + bytes(100))
    assert status == 405
    assert scraper.get("/metrics?x=1")[0] == 200
    assert scraper.get("/" + "x" * 100000)[0] in (413, 414, 431)


def test_slow_and_many_clients_do_not_keep_others_out(scraper):
    idle = []
    try:
        # Given as many connections as there may be, of which none says all it has to
        for _ in range(20):
            with contextlib.suppress(OSError):
                stream = scraper.connect()
                idle.append(stream)
                stream.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        # When their time is over, another is answered
        def answered():
            with contextlib.suppress(OSError, IndexError):
                return scraper.get()[0] == 200

        wait_for(answered, "answer", 40, every=0.5)
        closed = 0
        for stream in idle:
            stream.settimeout(30)
            with contextlib.suppress(ConnectionError):
                while stream.recv(4096):
                    pass
            closed += 1
        assert closed == len(idle)
    finally:
        for stream in idle:
            stream.close()


def test_an_address_that_is_taken_is_an_error(lab, standing, scraper):
    done = standing.cli("metrics", "--config", standing.running_path, "--listen", LISTEN, check=False)
    assert done.returncode == 1 and f"cannot listen on {LISTEN}: Address already in use" in done.stderr
    done = standing.cli("metrics", "--listen", "9464", check=False)
    assert done.returncode == 2 and "expected ADDRESS:PORT" in done.stderr


# --- without a daemon ---


def test_without_a_daemon_there_is_an_answer(lab, appliance):
    gate = appliance(start=False)
    gate.write_config()
    done = gate.cli("sources", "--config", gate.config_path, check=False)
    assert done.returncode == 1 and "sallyportd does not run" in done.stderr
    families = exposition.parse(gate.cli("metrics", "--config", gate.config_path).stdout)
    assert families["sallyport_inspecting"].value() == 0
    assert families["sallyport_daemon_counters"].value() == 0
