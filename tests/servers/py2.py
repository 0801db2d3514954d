"""The Python SDK 2.x against a stdio server, in every way it can open one: python py2.py SERVER [ARGS…]"""

import asyncio
import sys

from check import CASES, check
from mcp import Client, MCPError, StdioServerParameters


async def main(command: str, *args: str) -> None:
    seen = []
    for mode, version in (("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")):
        parameters = StdioServerParameters(command=command, args=list(args))
        async with Client(parameters, mode=mode) as client:
            assert client.protocol_version == version, client.protocol_version
            # A pinned revision is adopted without asking the server who it is.
            if mode != version:
                assert client.server_info.name == CASES["server"], client.server_info
            seen.append(f"{mode}: {await check(client, MCPError)}")
    print("ok py2 " + "; ".join(seen))


asyncio.run(main(*sys.argv[1:]))
