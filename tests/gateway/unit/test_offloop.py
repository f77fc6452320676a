import asyncio
import re
import threading
from functools import partial

import pytest

from services.gateway.actions.profile import picture
from services.gateway.http.problems import Refused
from services.gateway.offloop import OffLoop


async def test_work_is_done_elsewhere_and_its_error_comes_back():
    pool = OffLoop()
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="no"):
        await pool.run(partial(int, "no"))
    pool.close()


async def test_whoever_finds_the_line_full_is_told_when_to_come_back():
    pool, gate = OffLoop(threads=1, line=2), threading.Event()
    waiting = [asyncio.create_task(pool.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as caught:
        await pool.run(int)
    assert caught.value.status == 503
    assert caught.value.rejection.retry_after_s
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await pool.run(int) == 0
    pool.close()


async def test_hanging_up_frees_no_place_before_the_work_is_done():
    pool, gate = OffLoop(threads=1, line=0), threading.Event()
    gone = asyncio.create_task(pool.run(gate.wait))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(Refused):
        await pool.run(int)
    gate.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await pool.run(int) == 0
                break
            except Refused:
                await asyncio.sleep(0)
    pool.close()


def test_the_picture_is_one_that_any_page_can_show():
    drawn = picture("otpauth://totp/Quartermaster:kim%40example.org?secret=JBSWY3DPEHPK3PXP")
    assert drawn.startswith("<svg ")
    assert 'xmlns="http://www.w3.org/2000/svg"' in drawn
    assert not re.search(r"<script|href|style=", drawn)
    assert re.search(r'viewBox="0 0 \d+ \d+"', drawn)
