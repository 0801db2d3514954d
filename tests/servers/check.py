"""What every Python client has to see, whichever SDK it is."""

import json
from pathlib import Path

CASES = json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))


def field(model, snake: str):
    """A field of an SDK model: 1.x spells them as on the wire, 2.x in snake case."""
    head, *rest = snake.split("_")
    camel = head + "".join(word.title() for word in rest)
    return getattr(model, snake) if hasattr(model, snake) else getattr(model, camel)


async def check(session, protocol_error) -> str:
    tools = (await session.list_tools()).tools
    assert [tool.name for tool in tools] == CASES["tools"], tools
    for tool in tools:
        assert field(tool.annotations, "read_only_hint") is True, tool
        assert field(tool, "output_schema")["type"] == "object", tool

    # Since the tools were listed, the SDK checks each structured result against the output schema.
    for case in CASES["calls"]:
        result = await session.call_tool(case["tool"], case["arguments"])
        assert not field(result, "is_error"), result
        assert field(result, "structured_content") == case["structured"], result
        assert json.loads(result.content[0].text) == case["structured"], result
    for case in CASES["refused"]:
        result = await session.call_tool(case["tool"], case["arguments"])
        assert field(result, "is_error") is True, result
        assert case["says"] in result.content[0].text, result
    try:
        await session.call_tool("root", {})
    except protocol_error as error:
        assert error.error.code == -32602, error
    else:
        raise AssertionError("a tool that does not exist was called")
    return f"{len(tools)} tools, {len(CASES['calls'])} calls, {len(CASES['refused'])} refusals"
