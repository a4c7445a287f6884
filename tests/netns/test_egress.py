# SPDX-License-Identifier: GPL-2.0-or-later
"""Where workers may not go. A file of its own: it needs an appliance that it starts itself."""

import errno

from lab import network
from lab.appliance import USERS

METADATA, HOST_AGENT, COLLECTOR = "169.254.169.254", "168.63.129.16", "10.202.0.2"


def connects(namespace, user, address, port):
    """What connect(2) says to a process of that user; it waits for nobody's answer."""
    program = f"""
import os, socket
os.setgid({user}); os.setuid({user})
s = socket.socket(); s.setblocking(False)
print(s.connect_ex(({address!r}, {port})))
"""
    return errno.errorcode.get(int(namespace.run("/usr/bin/python3", "-c", program).stdout))


def test_workers_may_not_go_where_the_machine_gets_its_secrets(lab, appliance, prompt):
    gate = appliance({"audit": {"collector": COLLECTOR + ":24224"}}, start=False)
    gate.write_config()
    gate.make_ca()
    gate.start_daemon()
    forbidden = [(METADATA, 80), (METADATA, 443), (HOST_AGENT, 80), (HOST_AGENT, 32526), (COLLECTOR, 24224)]
    for address, port in forbidden:
        assert connects(gate.namespace, USERS["worker"], address, port) == "EACCES", (address, port)
        assert connects(gate.namespace, USERS["shipper"], address, port) != "EACCES", (address, port)
    # The host agent is also the name server, and the collector's machine has other ports.
    gate.namespace.ip("route", "add", HOST_AGENT, "via", COLLECTOR)
    for address, port in ((HOST_AGENT, 53), (COLLECTOR, 443), (network.REGION_A, 443)):
        assert connects(gate.namespace, USERS["worker"], address, port) != "EACCES", (address, port)
    assert connects(gate.namespace, USERS["worker"], HOST_AGENT, 80) == "EACCES"
    gate.namespace.ip("route", "del", HOST_AGENT)
    # Nor does a worker go there for a client, whatever the DNS says.
    lab.add_host("astray.openai.azure.com", METADATA)
    got = lab.client(gate).chat("astray.openai.azure.com", prompt, address=network.REGION_A)
    assert got.status == 502
    gate.reload()
    assert connects(gate.namespace, USERS["worker"], METADATA, 80) == "EACCES"
    assert "prohibit" in gate.namespace.ip("rule")
    gate.stop()
    assert "prohibit" not in gate.namespace.ip("rule")
