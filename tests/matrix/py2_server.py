"""A server of both eras on the Python SDK 2.x: python py2_server.py"""

import anyio
from mcp import MCPError, types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import ResourceUpdated

from offers import FORM, PAUSE, RESOURCES, TEXTS, TOOLS, WATCHED

bus = InMemorySubscriptionBus()
subscribed: set[str] = set()


async def list_tools(context, params):
    return types.ListToolsResult(
        tools=[types.Tool(name=name, description=about, input_schema=schema) for name, about, schema in TOOLS]
    )


async def list_resources(context, params):
    return types.ListResourcesResult(
        resources=[types.Resource(uri=uri, name=name, mime_type="text/plain") for uri, name in RESOURCES]
    )


async def read_resource(context, params):
    contents = types.TextResourceContents(uri=params.uri, mime_type="text/plain", text=TEXTS[params.uri])
    return types.ReadResourceResult(contents=[contents])


async def subscribe(context, params):
    subscribed.add(params.uri)
    return types.EmptyResult()


async def unsubscribe(context, params):
    subscribed.discard(params.uri)
    return types.EmptyResult()


async def call_tool(context, params):
    arguments = params.arguments or {}
    match params.name:
        case "echo":
            said = arguments["text"]
        case "add":
            said = f"{arguments['a'] + arguments['b']:g}"
        case "count":
            for done in (0, 50, 100):
                await context.session.report_progress(done, 100)
            await anyio.sleep(PAUSE)
            said = "All steps are done."
        case "ask":
            if context.protocol_version >= "2026-07-28":
                answer = (params.input_responses or {}).get("answer")
                if answer is None:
                    form = types.ElicitRequestFormParams(message=arguments["question"], requested_schema=FORM)
                    return types.InputRequiredResult(input_requests={"answer": types.ElicitRequest(params=form)})
            else:
                answer = await context.session.elicit(arguments["question"], FORM, context.request_id)
            said = answer.content["answer"] if answer.action == "accept" else f"nobody ({answer.action})"
        case "touch":
            await bus.publish(ResourceUpdated(uri=WATCHED))
            if WATCHED in subscribed:
                await context.session.send_resource_updated(WATCHED)
            said = "The change was announced."
        case _:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool called {params.name}")
    return types.CallToolResult(content=[types.TextContent(text=said)])


server = Server(
    "py2-server",
    version="1.0.0",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_read_resource=read_resource,
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=ListenHandler(bus),
)


async def main() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
