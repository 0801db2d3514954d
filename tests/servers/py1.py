"""The Python SDK 1.x against a stdio server: python py1.py SERVER [ARGS…]"""

import asyncio
import sys

from check import CASES, check
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(command: str, *args: str) -> None:
    parameters = StdioServerParameters(command=command, args=list(args))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        opened = await session.initialize()
        assert opened.serverInfo.name == CASES["server"], opened
        assert opened.protocolVersion == "2025-11-25", opened
        seen = await check(session, McpError)
    print(f"ok py1 legacy: {seen}")


asyncio.run(main(*sys.argv[1:]))
