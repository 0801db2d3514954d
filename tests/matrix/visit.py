"""What every Python client of the matrix does, whichever SDK it is on."""

import os
from contextlib import AbstractAsyncContextManager
from typing import Any, Awaitable, Callable

import anyio

WATCHED = "test://watched-resource"

ANSWER = {"answer": "Ada"}


def field(model: Any, snake: str) -> Any:
    """A field of an SDK model: 1.x spells them as on the wire, 2.x in snake case."""
    head, *rest = snake.split("_")
    camel = head + "".join(word.title() for word in rest)
    return getattr(model, snake) if hasattr(model, snake) else getattr(model, camel)


def only(result: Any) -> str:
    assert not field(result, "is_error"), result
    return result.content[0].text


Change = Callable[[], Awaitable[str]]


async def visit(session: Any, uri: Any, watch: Callable[[], AbstractAsyncContextManager[Change]]) -> dict[str, Any]:
    """`uri` is the SDK's type for one; within `watch` its value waits for the first change of the watched resource."""
    names = [tool.name for tool in (await session.list_tools()).tools]
    for name in ("echo", "add", "count", "ask", "touch"):
        assert name in names, names

    word = 'Grüße, 世界 ✓ "quoted" \\ \u2028'
    assert only(await session.call_tool("echo", {"text": word})) == word
    assert only(await session.call_tool("add", {"a": 2, "b": 3})) == "5"

    progress: list[float] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    only(await session.call_tool("count", {}, progress_callback=on_progress))
    assert progress == [0, 50, 100], progress

    assert only(await session.call_tool("ask", {"question": "Who?"})) == "Ada"

    contents = (await session.read_resource(uri("test://static-text"))).contents
    assert contents[0].text == "This is the content of the static text resource.", contents

    async with watch() as change:
        only(await session.call_tool("touch", {}))
        with anyio.fail_after(10):
            changed = await change()
        assert changed == WATCHED, changed

    try:
        only(await session.call_tool("no-such-tool", {}))
    except Exception:  # an error of the protocol or a result that says so: the servers differ
        pass
    else:
        raise AssertionError("a tool that does not exist was called")
    return {"tools": len(names), "progress": progress}


def environment() -> dict[str, str]:
    """The SDKs hand on a few variables only."""
    return dict(os.environ)
