"""The edge in front of the venue: what it refuses before the venue sees it, and how.

The venue lies behind Cloudflare, which answers with a page where clients expect JSON. It takes no URL beyond 32 KiB
(414). How long a body may be is not known; no request of the venue comes near a megabyte (413).
"""

from aiohttp import web
from aiohttp.typedefs import Handler

HIGHEST_URL_BYTES = 32 * 2**10
HIGHEST_BODY_BYTES = 2**20  # of aiohttp too, should a body not say how long it is
HIGHEST_LINE_BYTES = 2**20  # that aiohttp reads; beyond it the answer is its own 400

TOO_LARGE = "Request Entity Too Large"


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is too long, for both sides alike."""
    if len(request.raw_path) > HIGHEST_URL_BYTES:
        return turned_away(414, "Request-URI Too Large")
    try:
        if (request.content_length or 0) > HIGHEST_BODY_BYTES:
            return turned_away(413, TOO_LARGE)
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return turned_away(413, TOO_LARGE)


def turned_away(status: int, reason: str) -> web.Response:
    """A page of the edge, under an HTTP status that says the same."""
    return web.Response(status=status, text=page(f"{status} {reason}"), content_type="text/html")


def page(title: str) -> str:
    """A page as the edge sends it."""
    body = f"<center><h1>{title}</h1></center>"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n{body}\r\n"
        "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    )
