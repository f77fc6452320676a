"""Ports that are held for our servers are nobody else's, and theirs again after each start."""

import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from deploy.embedded.ports import free_port, hold_port, hold_ports, number_of

HERE = "127.0.0.1"


@pytest.fixture
def held():
    """Twenty ports that are held."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(each)) for each in hold_ports(20)]


def test_held_ports_differ_and_can_be_listened_on_again_and_again(held):
    ports = [number_of(each) for each in held]
    assert len(set(ports)) == 20
    for port in (*ports, *ports):
        with socket.create_server((HERE, port)) as server:  # as all servers do, reusing addresses
            assert server.getsockname()[1] == port


def test_a_held_port_is_listened_on_only_by_its_server(held):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, number_of(held[0])), timeout=5)


def test_a_held_port_is_not_picked_by_anybody_else(held, monkeypatch):
    ports = [number_of(each) for each in held]
    monkeypatch.setattr("random.sample", lambda candidates, count: [*ports, *candidates[:count]])
    with closing(hold_ports(1)[0]) as other:
        assert number_of(other) not in ports


def test_no_outgoing_connection_can_get_a_picked_port(held):
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(number_of(each) < lowest for each in held)


def test_a_port_that_is_listened_on_cannot_be_held():
    with (
        socket.create_server((HERE, free_port())) as server,
        pytest.raises(OSError, match="in use"),
    ):
        hold_port(server.getsockname()[1])


def test_a_port_whose_last_connections_are_only_lingering_can_be_held():
    port = free_port()
    with socket.create_server((HERE, port)) as server:
        client = socket.create_connection((HERE, port))
        accepted, _ = server.accept()
        accepted.close()  # who closes first keeps the address for a while
        client.close()
    hold_port(port).close()
