"""A client on the Python SDK 2.x, of either era or of both: python py2_client.py legacy|modern|dual URL | COMMAND [ARGS…]"""

import json
import sys
import warnings
from contextlib import asynccontextmanager

import anyio
from mcp import Client, MCPDeprecationWarning, StdioServerParameters, types

from visit import ANSWER, WATCHED, environment, visit

warnings.simplefilter("ignore", MCPDeprecationWarning)
MODES = {"legacy": "legacy", "modern": "2026-07-28", "dual": "auto"}


async def main(mode: str, target: str, *args: str) -> None:
    send, received = anyio.create_memory_object_stream[str](16)

    async def on_message(message) -> None:
        if isinstance(message, Exception):
            raise message
        if isinstance(message, types.ResourceUpdatedNotification):
            await send.send(message.params.uri)

    async def on_elicitation(context, params) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content=ANSWER)

    server = target if target.startswith("http") else StdioServerParameters(
        command=target, args=list(args), env=environment()
    )
    async with Client(
        server, mode=MODES[mode], elicitation_callback=on_elicitation, message_handler=on_message
    ) as client:
        era = "modern" if client.protocol_version >= "2026-07-28" else "legacy"

        @asynccontextmanager
        async def watch():
            if era == "legacy":
                await client.subscribe_resource(WATCHED)
                yield received.receive
                return
            async with client.listen(resource_subscriptions=[WATCHED]) as subscription:

                async def change() -> str:
                    async for event in subscription:
                        return event.uri
                    raise AssertionError("the subscription ended")

                yield change

        seen = await visit(client, str, watch)
    print(json.dumps({"client": "py2", "era": era, **seen}))


anyio.run(main, *sys.argv[1:])
