"""What a finding code means, as an answer."""

from __future__ import annotations

import re

from parity.outputs.document import Document, Words
from parity.outputs.envelope import Answer
from parity.search.explanations import explanation


def code_answer(code: str) -> Answer:
    """The explanation of a finding. Raises `UnknownName`."""
    name, found = explanation(code)
    text, helps = plain_text(found.text), plain_text(found.helps)
    paragraphs = [*text.split("\n\n"), *([f"What helps: {helps}"] if helps else [])]
    words = tuple(Words(" ".join(part.split())) for part in paragraphs)
    content = {"code": name, "title": found.title, "text": text, "helps": helps}
    return Answer(
        command="why",
        content={"explanation": content},
        document=Document(sentence=f"{name}: {found.title}.", parts=words),
    )


def plain_text(markdown: str) -> str:
    """Markdown without its links and emphasis."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", markdown).replace("*", "").strip()
