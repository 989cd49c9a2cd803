"""What is wrong with a file that is to be judged."""

from __future__ import annotations

__all__ = ["TemplateError"]


class TemplateError(ValueError):
    """The file cannot be read, or there is nothing in it to judge. `is_unrelated` says that it is fine as it is, and
    only has to do with other things."""

    def __init__(self, found: str, next_step: str, *, is_unrelated: bool = False) -> None:
        super().__init__(found, next_step)
        self.found = found
        self.next_step = next_step
        self.is_unrelated = is_unrelated

    def __str__(self) -> str:
        return f"{self.found}; {self.next_step}"
