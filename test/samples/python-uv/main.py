"""Answers with the sample's version; uvicorn serves it."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

version = "1"


async def index(request):
    return PlainTextResponse(f"Hello from Starlette, version {version}\n")


app = Starlette(routes=[Route("/", index)])
