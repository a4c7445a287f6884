# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may ask the collector over HTTP, what he is told, and that each look is recorded before."""

import http.client
import json
import os
import socket
import subprocess

import pytest

from store import BUILD, HOSTILE, call, denied, until


@pytest.fixture
def filled(collector):
    c = collector()
    c.send([call("What is a sally port?", "A gate with two doors."),
            call("And why two?", "So that one is always shut.", ip="10.20.0.8", model="gpt-4o-mini-2024-07-18"),
            denied("My card is 4111 1111 1111 1111", ip="10.20.0.9"),
            {"event.kind": "bypass", "source.ip": "10.20.0.9", "event.action": "bypass",
             "tls.server_name": "example.org", "bypass.reason": "unlisted"}])
    return c


def over_socket(c, path, method="GET"):
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(c.review)
        to.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(to)
        answer.begin()
        return answer.status, json.loads(answer.read())


def test_a_link_is_good_once(filled):
    link = filled.link().split("#link=")[1]
    own = {"X-Sallyport-Link": link, "Origin": f"http://127.0.0.1:{filled.port}"}
    first = filled.request("POST", "/api/session", own)
    assert first.status == 200
    cookie = first.getheader("Set-Cookie")
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in cookie
    assert filled.request("POST", "/api/session", own).status == 401


def test_cookie_and_key_are_both_needed(filled):
    session, other = filled.session(), filled.session()
    assert filled.ask("whoami", session)["role"] == "reviewer"
    for headers in ({}, {"Cookie": session["Cookie"]}, {"X-Sallyport-Key": session["X-Sallyport-Key"]},
                    {**session, "X-Sallyport-Key": other["X-Sallyport-Key"]},
                    {**session, "X-Sallyport-Key": ""}, {**session, "Cookie": "sallyport_session="}):
        assert filled.request("GET", "/api/events", headers).status == 401
    assert filled.request("DELETE", "/api/session", session).status == 200
    assert filled.request("GET", "/api/whoami", session).status == 401
    assert filled.ask("whoami", other)


def test_other_sites_are_refused(filled):
    session = filled.session()
    for host in ("evil.example", f"evil.example:{filled.port}", "127.0.0.1", f"127.0.0.1:{filled.port + 1}"):
        assert filled.request("GET", "/api/whoami", session, host=host).status == 421
        assert filled.request("GET", "/", host=host).status == 421
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": f"https://127.0.0.1:{filled.port}"}, {"Origin": f"http://127.0.0.1:{filled.port}0"},
                    {"Origin": f"http://localhost:{filled.port}"}):
        assert filled.request("GET", "/api/whoami", {**session, **headers}).status == 421
    for site in ("cross-site", "same-site"):
        assert filled.request("GET", "/api/whoami", {**session, "Sec-Fetch-Site": site}).status == 403
    # A link is not used up by a form of another site.
    link = filled.link().split("#link=")[1]
    assert filled.request("POST", "/api/session", {"X-Sallyport-Link": link}).status in (401, 403)


def test_the_page_forbids_what_it_does_not_need(filled):
    answer = filled.request("GET", "/explore?q=x")
    assert answer.status == 200 and b"<script type" in answer.body
    policy = answer.getheader("Content-Security-Policy")
    for word in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                 "require-trusted-types-for 'script'", "trusted-types 'none'"):
        assert word in policy
    assert "unsafe" not in policy and "http" not in policy
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert filled.request("GET", "/no.js").status == 404
    assert filled.request("POST", "/").status == 405


def test_every_look_is_recorded_before(filled):
    session = filled.session()
    events = filled.ask("events?action=deny", session)["events"]
    assert [e["prompt"] for e in events] == ["My card is 4111 1111 1111 1111"]
    filled.ask(f"event?id={events[0]['event.id']}", session)
    filled.ask("usage?by=ip", session)  # numbers: no look
    filled.ask("events?content=0", session)
    looks = filled.ask("access", session)["looks"]
    assert [(l["what"], l["by"], l["detail"]) for l in looks] == [
        ("show", "page", f"id={events[0]['event.id']}"), ("list", "page", "action=deny")]
    # What cannot be recorded is not shown.
    os.rename(f"{filled.store}/access.db", f"{filled.store}/away.db")
    subprocess.run(["sqlite3", f"{filled.store}/away.db", "DROP TABLE look"], check=True)
    answer = filled.request("GET", f"/api/event?id={events[0]['event.id']}", session)
    assert answer.status == 500 and b"4111" not in answer.body and b"nothing is shown" in answer.body


def test_an_operator_sees_numbers(filled):
    session = filled.session("--role", "operator")
    assert filled.ask("whoami", session)["role"] == "operator"
    assert filled.ask("usage?by=ip", session)["total"]["calls"] == 3
    text = json.dumps(filled.ask("events?content=0", session))
    for said in ("sally port", "two doors", "4111"):
        assert said not in text
    assert "gpt-4o" in text and "10.20.0.9" in text
    some = filled.ask("events?content=0", session)["events"][0]["event.id"]
    for question in ("events?content=1", "events?word=card", f"event?id={some}", "access", "conversations"):
        assert filled.request("GET", f"/api/{question}", session).status == 403
    assert "events" in filled.ask("events", session)  # without content, if nothing is said of it


def test_an_operator_sees_no_text_that_may_quote(collector):
    """A number that is a text, a field that nobody knows: what is not known to be harmless is not shown."""
    c = collector()
    secret = "the walrus key"
    c.send([call("x", **{"error.message": secret, "url.path": f"/v1?q={secret}", "foreign.prompt": secret,
                         "foreign": [secret], "http.response.status_code": secret, "gen_ai.tools": secret,
                         "gen_ai.input.messages": secret, "conversation.id": secret, "error.type": "limit.tokens"})])
    assert secret in json.dumps(c.ask("events", c.session()))
    answer = c.ask("events?kind=all", c.session("--role", "operator"))["events"][0]
    assert secret not in json.dumps(answer) and answer["error.type"] == "limit.tokens"


def test_users_have_roles(collector):
    c = collector("--operator", "nobody", "--reviewer", "daemon")
    c.send([call("x")])
    os.chmod(c.directory, 0o711)
    os.chmod(os.path.dirname(c.directory), 0o711)
    for user, wanted, expected in (("nobody", [], "operator"), ("daemon", [], "reviewer"), ("nobody", ["--role", "reviewer"], None),
                                   ("bin", [], None)):
        status = over_socket_as(c, user, wanted)
        assert (status or {}).get("role") == expected, user


def over_socket_as(c, user, wanted):
    """What a user of the machine is answered who asks for a link; None: refused."""
    path = "/api/link" + (f"?role={wanted[1]}" if wanted else "")
    code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
            "s.sendall(('POST '+sys.argv[2]+' HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n').encode())\n"
            "d=b''\nwhile p:=s.recv(4096): d+=p\nsys.stdout.write(d.decode())\n")
    # The path leads through directories of root: its descriptor is the way.
    fd = os.open(c.directory, os.O_PATH)
    try:
        done = subprocess.run(["/usr/bin/python3", "-c", code, f"/proc/self/fd/{fd}/review", path], user=user,
                              group=65534, pass_fds=(fd,), capture_output=True, text=True, timeout=60, check=True)
    finally:
        os.close(fd)
    return json.loads(done.stdout.split("\n\n")[1]) if " 200 " in done.stdout[:20] else None


def test_the_socket_answers_the_same(filled):
    status, answer = over_socket(filled, "/api/usage?by=model")
    assert status == 200 and answer["total"]["calls"] == 3
    status, answer = over_socket(filled, "/api/events?limit=1")
    assert status == 200 and answer["more"]
    assert over_socket(filled, "/api/nothing")[0] == 404
    assert over_socket(filled, "/")[0] == 404


@pytest.mark.parametrize("question, problem", [
    ("events?ip=bogus", "expected an address"), ("events?since=1h&until=2h", "since is not before until"),
    ("events?since=2026-02-30", "expected"), ("events?colour=red", "not a parameter"),
    ("events?limit=201", "a number"), ("events?before=x", "where a page ended"), ("usage?by=shoe", "expected up to"),
    ("usage?word=x", "not a parameter"), ("event", "which event"), ("events?status=99", "a status code"),
    ("events?word=*", "letters"), ("events?user=a&user=ada", "user: given twice"), ("usage?by=ip&by=model", "by: given twice"), ("events?" + "&".join(["ip=10.0.0.1"] * 33), "too many"), ("events?ip=%00", "too many or broken")])
def test_wrong_questions_are_errors(filled, question, problem):
    answer = filled.request("GET", f"/api/{question}", filled.session())
    assert answer.status == 400 and problem in json.loads(answer.body)["error"]


def test_pages_follow_each_other_without_a_gap(collector):
    c = collector()
    at = [1_790_000_000 + (i // 3) for i in range(100)]  # three at a time share their moment
    c.send([call(f"number {i}", at=at[i]) for i in range(100)])
    session, seen, before = c.session(), [], ""
    while True:
        answer = c.ask(f"events?limit=7{before}", session)
        seen += [e["prompt"] for e in answer["events"]]
        if not answer.get("more"):
            break
        before = f"&before={answer['events'][-1]['place']}"
    assert sorted(seen) == sorted({f"number {i}" for i in range(100)})
    assert [int(s.split()[1]) // 3 for s in seen] == sorted((i // 3 for i in range(100)), reverse=True)


def test_a_page_ends_at_midnight(collector):
    c = collector()
    midnight = 1_790_000_000 // 86400 * 86400
    c.send([call("before", at=midnight - 1), call("one", at=midnight), call("two", at=midnight)])
    session = c.session()
    first = c.ask("events?limit=1", session)["events"][0]
    rest = c.ask(f"events?before={first['place']}", session)["events"]
    assert [first["prompt"], *(e["prompt"] for e in rest)] == ["two", "one", "before"]


def test_facets_count(filled):
    answer = filled.ask("facets?limit=5", filled.session())
    got = {(f["field"], f["value"]): f["events"] for f in answer["facets"]}
    assert answer["sampled"] == 3 and answer["all"]
    assert got["action", "allow"] == 2 and got["action", "deny"] == 1
    assert got["model", "gpt-4o-2024-08-06"] == 2 and got["status", "403"] == 1
    assert got["ip", "10.20.0.8"] == 1 and got["user", "ada"] == 3
    one = filled.ask("facets?action=deny&limit=5", filled.session())
    assert one["sampled"] == 1


def test_a_conversation_is_followed(collector):
    c = collector()
    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}]
    second = first + [{"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]
    third = second + [{"role": "assistant", "content": "2"}, {"role": "user", "content": "three"}]
    other = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "another"}]
    c.send([call(first), call(other), call(second), call(second, ip="10.20.0.99"), call(third)])
    session = c.session()
    ids = [e["event.id"] for e in reversed(c.ask("events", session)["events"])]
    near = [c.ask(f"event?id={i}", session) for i in ids]
    assert [(n.get("previous"), n.get("next")) for n in near] == [
        (None, ids[2]), (None, None), (ids[0], ids[4]), (None, None), (ids[2], None)]
    assert near[4]["shared"] == 4


def test_words_are_found_among_what_a_filter_leaves(collector):
    c = collector()
    c.send([call("a walrus"), call("a walrus", ip="10.20.0.8"), denied("a walrus here", ip="10.20.0.8")])
    session = c.session()
    found = lambda q: [e["prompt"] for e in c.ask(f"events?word=walrus{q}", session)["events"]]
    until(lambda: len(found("")) == 3, "the index")
    assert found("&ip=10.20.0.8&action=deny") == ["a walrus here"]
    assert found("&action=allow&ip=10.20.0.7") == ["a walrus"]


def test_health_tells_of_gaps(collector):
    c = collector()
    c.send([call("a")])
    c.sequence += 4
    c.send([call("b")])
    health = c.ask("health", c.session())
    assert health["missing"] == 4 and health["gaps"][0]["first"] == 2 and health["gaps"][0]["last"] == 5
    assert [d["events"] for d in health["days"]] == [2]


def test_the_page_is_started_again(filled):
    """It is another process than that which receives: its end keeps nothing from being stored."""
    children = subprocess.run(["pgrep", "-P", str(filled.process.pid), "-f", "--", "--page"], capture_output=True,
                              text=True, check=True).stdout.split()
    assert len(children) == 1
    os.kill(int(children[0]), 9)
    filled.send([call("while it is away")])

    def back():
        try:
            return over_socket(filled, "/api/usage")[1]["total"]["calls"] == 4
        except OSError:
            return False
    until(back, "the page")


def test_only_this_machine_is_served(tmp_path):
    for address in ("0.0.0.0:24280", "192.0.2.1:24280", "127.0.0.1:0", "127.0.0.1"):
        done = subprocess.run([f"{BUILD}/sallyport-collector", "--store", str(tmp_path / "s"), "--review", address],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "an address of this machine alone" in done.stderr


def test_hostile_text_is_escaped(collector):
    c = collector()
    c.send([call(HOSTILE, HOSTILE, **{"gen_ai.request.user": HOSTILE})])
    session = c.session()
    raw = c.request("GET", "/api/events", session).body
    for character in "\u202e\u2066\u200b\x1b\U000e0041":
        assert character.encode() not in raw
    assert json.loads(raw)["events"][0]["prompt"] == HOSTILE


def test_commands_record_what_they_show(filled):
    run = lambda *argv: subprocess.run([f"{BUILD}/sallyport", argv[0], "--store", filled.store, *argv[1:]],
                                       capture_output=True, text=True, timeout=60)
    session = filled.session()
    some = filled.ask("events?content=0", session)["events"][0]["event.id"]
    for argv in (["events", "--action", "deny"], ["show", some], ["search", "gate"], ["export", "--format", "csv"], ["conversations"],
                 ["usage"], ["usage", "--sources"], ["audit", "verify"]):
        done = run(*argv)
        assert done.returncode == 0, done.stderr
    copy = f"{filled.directory}/copy"
    assert run("audit", "backup", copy).returncode == 0
    looks = filled.ask("access", session)["looks"]
    assert [(l["what"], l["by"]) for l in looks] == [
        (what, "command") for what in ("backup", "conversations", "export", "search", "show", "list")]
    assert looks[4]["detail"].endswith(some) and "--action deny" in looks[5]["detail"]
    assert os.stat(f"{copy}/access.db").st_mode & 0o777 == 0o600
    # What cannot be recorded is not shown.
    subprocess.run(["sqlite3", f"{filled.store}/access.db",
                    "CREATE TRIGGER no BEFORE INSERT ON look BEGIN SELECT RAISE(ABORT, 'no'); END"], check=True)
    done = run("events")
    assert done.returncode == 1 and "nothing is shown" in done.stderr and "4111" not in done.stdout
    assert run("usage").returncode == 0


def test_conversations_are_looked_at(filled):
    session = filled.session()
    found = filled.ask("conversations?ip=10.20.0.8", session)["conversations"]
    assert len(found) == 1 and found[0]["calls"] == 1 and "why two" in found[0]["question"]
    assert len(filled.ask("conversations", session)["conversations"]) == 3
    assert filled.ask("event?id=" + found[0]["event.id"], session)["event"]["source.ip"] == "10.20.0.8"
    assert [look["what"] for look in filled.ask("access", session)["looks"]] == ["show", "conversations", "conversations"]


def test_the_slowest_come_first(collector):
    c = collector()
    day = 1_790_000_000
    took = [5, 900, 20, 70, 901, 1]
    c.send([call(f"number {i}", at=day + i * 40_000, **{"timing.total": ms * 1_000_000}) for i, ms in enumerate(took)])
    c.send([{**denied("no time is told"), "timing.total": None}])
    session = c.session()
    slow = lambda q: [e["prompt"] for e in c.ask(f"events?slowest=1{q}", session)["events"]]
    assert slow("&limit=3") == ["number 4", "number 1", "number 3"]
    assert slow("") == [f"number {i}" for i in (4, 1, 3, 2, 0, 5)]
    assert slow("&until=2026-09-22T13:00:00Z&limit=2") == ["number 1", "number 2"]
    run = lambda *argv: subprocess.run([f"{BUILD}/sallyport", "events", "--store", c.store, "--slowest", *argv],
                                       capture_output=True, text=True, timeout=60)
    lines = run("--limit", "2").stdout.splitlines()
    assert lines[0].split()[0] == "TOOK" and [line.split()[0] for line in lines[1:]] == ["0.901", "0.900"]
    assert run("--limit", "0").returncode == 2


def test_health_tells_the_rest_when_gaps_cannot_be_looked_for(filled):
    os.unlink(f"{filled.store}/key")
    health = filled.ask("health", filled.session())
    assert "key" in health["unchecked"] and "missing" not in health
    assert [d["events"] for d in health["days"]] == [4]
