"""A legacy server on the Python SDK 1.x: python py1_server.py"""

import anyio
from mcp import types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from pydantic import AnyUrl

from offers import FORM, PAUSE, RESOURCES, TEXTS, TOOLS, WATCHED

server = Server("py1-server", version="1.0.0")
subscribed: set[str] = set()


@server.list_tools()
async def list_tools() -> list[types.Tool]:
    return [types.Tool(name=name, description=about, inputSchema=schema) for name, about, schema in TOOLS]


@server.list_resources()
async def list_resources() -> list[types.Resource]:
    return [types.Resource(uri=AnyUrl(uri), name=name, mimeType="text/plain") for uri, name in RESOURCES]


@server.read_resource()
async def read_resource(uri: AnyUrl) -> str:
    return TEXTS[str(uri)]


@server.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    subscribed.add(str(uri))


@server.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    subscribed.discard(str(uri))


@server.call_tool()
async def call_tool(name: str, arguments: dict) -> list[types.TextContent]:
    context = server.request_context
    match name:
        case "echo":
            said = arguments["text"]
        case "add":
            said = f"{arguments['a'] + arguments['b']:g}"
        case "count":
            token = context.meta.progressToken if context.meta else None
            for done in (0, 50, 100):
                if token is not None:
                    await context.session.send_progress_notification(token, done, 100)
            await anyio.sleep(PAUSE)
            said = "All steps are done."
        case "ask":
            answer = await context.session.elicit(arguments["question"], FORM, related_request_id=context.request_id)
            said = answer.content["answer"] if answer.action == "accept" else f"nobody ({answer.action})"
        case "touch":
            if WATCHED in subscribed:
                await context.session.send_resource_updated(AnyUrl(WATCHED))
            said = "The change was announced."
        case _:
            raise ValueError(f"there is no tool called {name}")
    return [types.TextContent(type="text", text=said)]


async def main() -> None:
    options = server.create_initialization_options(NotificationOptions())
    # The SDK has no way to say that it takes subscriptions.
    options.capabilities.resources.subscribe = True
    async with stdio_server() as (read, write):
        await server.run(read, write, options)


anyio.run(main)
