# SPDX-License-Identifier: GPL-2.0-or-later
"""The laboratory itself, without an appliance: what the other tests take for granted."""

import pytest

from lab import network
from lab.appliance import AZURE, ELSEWHERE, OPENAI
from lab.client import azure_path, chat_body


@pytest.mark.parametrize("ipv6", [False, True])
def test_client_reaches_the_origin(lab, origin, ipv6):
    client = lab.client()
    response = client.chat(AZURE, "direct", ipv6=ipv6, headers={"x-test-id": f"direct{ipv6}"})
    assert response.status == 200
    assert response.text() == "Answer to: direct. t1 t2 t3 t4"
    seen = origin.request(f"direct{ipv6}")
    assert seen.sni == AZURE
    assert seen.key == "client-key"
    assert seen.body == chat_body("direct").encode()
    assert seen.peer.startswith(f"[{network.CLIENT6}]" if ipv6 else network.CLIENT)


def test_curl_resolves_by_the_tests_dns(lab, origin):
    response = lab.client().curl(
        f"https://{OPENAI}/v1/chat/completions",
        headers={"Authorization": "Bearer sk-test"},
        data=chat_body("curl", model="gpt-4o-mini", stream=True),
    )
    assert response.status == 200
    assert response.text() == "Answer to: curl. t1 t2 t3 t4"


def test_origin_refuses_what_no_appliance_may_send(lab, origin):
    with lab.client().tls(AZURE) as connection:
        connection.send(
            f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\n"
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        assert connection.response().status == 400
    assert origin.request().wrong == "content-length and transfer-encoding"


def test_other_hosts_answer_too(lab, origin):
    assert lab.client().chat(ELSEWHERE, "other").status == 200
