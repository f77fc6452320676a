"""A lean HTTP/1.1 load generator, run as its own process: it must not be what is measured.

`python tests/benchmarks/load.py PORT CLIENTS SECONDS < requests` reads whole requests, separated by
a line of `--`, sends each once (`--repeat`: again and again) and prints how many were answered 200
a second, and the median time of one in milliseconds.
"""

import asyncio
import statistics
import sys
import time

import uvloop


async def client(port, requests, until, times):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        request = next(requests, None)
        if request is None:
            break
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(head.decode())
        times.append(time.perf_counter() - started)
    writer.close()


def endlessly(requests):
    while True:
        yield from requests


async def main(port, clients, seconds, requests, repeat):
    source = endlessly(requests) if repeat else iter(requests)
    times = []
    started = time.perf_counter()
    until = started + seconds
    await asyncio.gather(*(client(port, source, until, times) for _ in range(clients)))
    took = time.perf_counter() - started
    sys.stdout.write(f"{len(times) / took} {statistics.median(times) * 1000}\n")


if __name__ == "__main__":
    found = [item for item in sys.stdin.buffer.read().split(b"\n--\n") if item]
    uvloop.run(
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), found, "--repeat" in sys.argv)
    )
