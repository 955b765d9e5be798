"""A venue that lies: a sandbox behind a proxy that changes what it answers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from kraken_venue import ONCE, HurriedClock, Venue

from exchange.kraken.budget import Budget
from exchange.kraken.client import PublicClient, Urls

Twist = Callable[[str, dict[str, str], Any], Any]  # path, query, reply -> reply


@asynccontextmanager
async def twisted(venue: Venue, twist: Twist) -> AsyncIterator[PublicClient]:
    """A client of the venue to whom every reply is what `twist` makes of it."""
    async with aiohttp.ClientSession() as http:
        urls = [
            await _proxy(http, host, twist) for host in (venue.sandbox.urls.spot_rest, venue.sandbox.urls.futures_rest)
        ]
        async with PublicClient(Urls(*(url for url, _ in urls)), Budget(HurriedClock()), ONCE) as client:
            yield client
        for _, runner in urls:
            await runner.cleanup()


async def _proxy(http: aiohttp.ClientSession, host: str, twist: Twist) -> tuple[str, web.AppRunner]:
    async def answer(request: web.Request) -> web.Response:
        async with http.get(f"{host}{request.path_qs}") as reply:
            return web.json_response(twist(request.path, dict(request.query), await reply.json()))

    application = web.Application()
    application.router.add_route("GET", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}", runner
