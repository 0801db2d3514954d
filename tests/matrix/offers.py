"""What every Python server of the matrix offers, whichever SDK it is on. The tools and resources are those of `mcp-fixture`."""


def _schema(**properties: str) -> dict:
    typed = {name: {"type": kind} for name, kind in properties.items()}
    return {"type": "object", "properties": typed, "required": list(properties)}


TOOLS = [
    ("echo", "Returns the text it is given", _schema(text="string")),
    ("add", "Adds two numbers", _schema(a="number", b="number")),
    ("count", "Reports progress three times", _schema()),
    ("ask", "Asks the user", _schema(question="string")),
    ("touch", "Announces that the watched resource changed", _schema()),
]

# SDK clients forget who waits for progress as soon as the answer is read, and on a busy machine they read both at once.
PAUSE = 0.3

FORM = _schema(answer="string")

WATCHED = "test://watched-resource"

TEXTS = {"test://static-text": "This is the content of the static text resource.", WATCHED: "Watch me."}

RESOURCES = [(uri, uri.removeprefix("test://")) for uri in TEXTS]
