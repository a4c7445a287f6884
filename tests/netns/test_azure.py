# SPDX-License-Identifier: GPL-2.0-or-later
"""What of appliance/azure can be checked without Azure: the address plan, user-data."""

import ipaddress
import os
import re
import subprocess

import pytest

from lab.lab import TOP

AZURE = os.path.join(TOP, "appliance", "azure")


def text_of(name):
    with open(os.path.join(AZURE, name), encoding="utf-8") as file:
        return file.read()


def variables():
    return dict(re.findall(r"^var (\w+) = '([^']+)'$", text_of("appliance.bicep"), re.M))


SUBNETS = ("clientsPrefix", "insidePrefix", "outsidePrefix", "collectorPrefix", "endpointsPrefix")
HOSTS = {
    "insideFrontend": "insidePrefix", "insideFirst": "insidePrefix", "insideSecond": "insidePrefix",
    "insideGateway": "insidePrefix", "outsideFirst": "outsidePrefix", "outsideSecond": "outsidePrefix",
    "collectorAddress": "collectorPrefix",
}


def test_the_address_plan_is_one():
    plan = variables()
    network = ipaddress.ip_network(plan["network"])
    subnets = {name: ipaddress.ip_network(plan[name]) for name in SUBNETS}
    for name, subnet in subnets.items():
        assert subnet.subnet_of(network), name
        assert not [other for other in SUBNETS if other != name and subnets[other].overlaps(subnet)], name
    taken = set()
    for name, home in HOSTS.items():
        address, subnet = ipaddress.ip_address(plan[name]), subnets[home]
        assert address in subnet and address not in taken, name
        taken.add(address)
        # Azure keeps the first four addresses and the last; the router is the first of them.
        reserved = [subnet[0], subnet[1], subnet[2], subnet[3], subnet[-1]]
        assert (address == subnet[1]) if name == "insideGateway" else (address not in reserved), name
    # The page tells the same.
    page = text_of("README.md")
    for name in (*SUBNETS, *HOSTS):
        if name != "insideGateway":
            assert plan[name] in page or plan[name].rsplit(".", 1)[1] in page, name


def test_the_template_is_whole():
    text = re.sub(r"(?<!:)//.*", "", text_of("appliance.bicep"))
    bare = re.sub(r"'(?:\\.|[^'\\])*'", "''", text)
    for left, right in ("{}", "[]", "()"):
        assert bare.count(left) == bare.count(right), left
    declared = {"i", "environment", *re.findall(r"^(?:param|var|resource) (\w+)", text, re.M)}
    symbols = set(re.findall(r"\$\{(\w+)", text)) | set(re.findall(r"\b(\w+)\.id\b", text))
    assert symbols <= declared, symbols - declared
    # The appliance's own subnets have no route to the appliance: that would be a loop.
    for subnet in ("inside", "outside", "collector"):
        (line,) = [one for one in text.splitlines() if f"name: '{subnet}', properties: {{addressPrefix" in one]
        assert "routeTable" not in line
    assert "privateEndpointNetworkPolicies: 'RouteTableEnabled'" in text
    assert "loadDistribution: 'SourceIP'" in text and "requestPath: '/health'" in text
    # Debian makes no user whose name is that of one of its groups
    with open("/usr/share/base-passwd/group.master", encoding="ascii") as file:
        groups = {line.split(":")[0] for line in file}
    assert "operator" in groups and not groups & set(re.findall(r"adminUsername: '(\w+)'", text))
    assert text.count("enableIPForwarding: true") == 2 and "disablePasswordAuthentication: true" in text


@pytest.mark.parametrize("name", ["user-data.yaml", "user-data-collector.yaml"])
def test_user_data_is_filled_by_the_template(name):
    data = text_of(name)
    assert data.startswith("#cloud-config\n")
    words = set(re.findall(r"@[A-Z_]+@", data))
    # The image's root is read-only
    assert all(path.startswith("/etc/") for path in re.findall(r"- path: (\S+)", data))
    assert words and words <= set(re.findall(r"@[A-Z_]+@", text_of("appliance.bicep")))


def test_the_configuration_of_user_data_is_good(lab, tmp_path):
    data = text_of("user-data.yaml").replace("@COLLECTOR@", variables()["collectorAddress"])
    block = re.search(r"path: /etc/sallyport/sallyport.yaml\n    content: \|\n((?:      .*\n)+)", data)[1]
    path = tmp_path / "sallyport.yaml"
    path.write_text(re.sub(r"(?m)^      ", "", block))
    subprocess.run([lab.program("sallyport"), "check", "--text-only", str(path)], check=True)
    script = re.search(r"path: /etc/sallyport/routes\n.*?content: \|\n((?:      .*\n)+)", data, re.S)[1]
    text = re.sub(r"(?m)^      ", "", script).replace("@CLIENT_PREFIXES@", "10.0.0.0/8").replace(
        "@INSIDE_GATEWAY@", "10.80.10.1")
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
