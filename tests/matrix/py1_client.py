"""A legacy client on the Python SDK 1.x: python py1_client.py legacy URL | COMMAND [ARGS…]"""

import json
import sys
from contextlib import asynccontextmanager

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

from visit import ANSWER, WATCHED, environment, visit


async def main(mode: str, target: str, *args: str) -> None:
    assert mode == "legacy", mode
    send, received = anyio.create_memory_object_stream[str](16)

    async def on_message(message) -> None:
        if isinstance(message, Exception):
            raise message
        if isinstance(message, types.ServerNotification) and isinstance(message.root, types.ResourceUpdatedNotification):
            await send.send(str(message.root.params.uri))

    async def on_elicitation(context, params) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content=ANSWER)

    if target.startswith("http"):
        transport = streamable_http_client(target)
    else:
        transport = stdio_client(StdioServerParameters(command=target, args=list(args), env=environment()))
    async with transport as (read, write, *_):
        async with ClientSession(
            read, write, elicitation_callback=on_elicitation, message_handler=on_message
        ) as session:
            await session.initialize()

            @asynccontextmanager
            async def watch():
                await session.subscribe_resource(AnyUrl(WATCHED))
                yield received.receive

            seen = await visit(session, AnyUrl, watch)
    print(json.dumps({"client": "py1", "era": "legacy", **seen}))


anyio.run(main, *sys.argv[1:])
