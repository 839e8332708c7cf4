"""Decoding of what devices and pools send: short messages on the loop, long ones in a thread.

Bounds on elements, members and bytes hold for both. They leave a long message some seconds of decoding, in which other
devices want their answers too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Bytes above which a message is decoded in the thread; a fully configured station answers with 0.2 MB.
LONG = 1 << 18
#: One thread: decoding in two at once takes as long, and takes more of the loop's time.
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="decoding")


async def decoded(long: bool, decode: Callable[[], T]) -> T:
    """The result of decoding a message that is long or short; raises what ``decode`` raises."""
    if not long:
        return decode()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, decode)
