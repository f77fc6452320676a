"""Ports that are picked stay free until their server is there."""

import socket
from pathlib import Path

from deploy.embedded.ports import free_port, free_ports, is_free


def test_picked_ports_differ_and_can_be_listened_on():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port, "127.0.0.1") for port in ports)


def test_no_outgoing_connection_can_get_a_picked_port():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < lowest for port in free_ports(50))


def test_a_port_that_is_listened_on_is_not_free():
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert not is_free(server.getsockname()[1], "127.0.0.1")
