"""Somebody who has a keyboard and no mouse."""

from __future__ import annotations

from typing import Any

from eventsys.broker.joining import wait_until

#: What is in the focus: its name as it is read aloud, and whether a person sees that it is.
_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const label = one.getAttribute("aria-label")
    ?? (one.labels?.length ? [...one.labels].map((each) => each.innerText).join(" ") : one.textContent);
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const isInView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const name = (label ?? "").replace(/\\s+/g, " ").trim();
  return { name, isSeen: isMarked && isInView, html: one.outerHTML.slice(0, 120) };
}"""

#: More controls than any page has.
_MOST_STEPS = 600


class Keyboard:
    """Goes from control to control with the Tab key, and uses them.

    Args:
        page: What is before this person.
    """

    def __init__(self, page: Any) -> None:
        self.page = page

    def reach(self, name: str) -> None:
        """Go on with Tab until the focus is on what is called `name`, or begins so; at the end begin again.

        Raises:
            AssertionError: If there is none, or if the focus is not to be seen on the way.
        """
        passed: list[str] = []
        for _ in range(_MOST_STEPS):
            self.page.keyboard.press("Tab")
            focus = self.page.evaluate(_FOCUS)
            if focus is None:
                continue
            if focus["name"] and not focus["isSeen"]:
                self._wait_to_see(focus["html"])
            if focus["name"].startswith(name):
                return
            if passed.count(focus["name"]) > 60:
                break
            passed.append(focus["name"])
        raise AssertionError(f"Tab leads to no {name!r}, but to {list(dict.fromkeys(passed))}")

    def _wait_to_see(self, html: str) -> None:
        # The browser draws, and scrolls to, what has the focus a moment after it has it.
        def is_seen() -> bool:
            focus = self.page.evaluate(_FOCUS)
            return focus is not None and focus["isSeen"]

        assert wait_until(is_seen, 60_000), f"the focus is not to be seen: {html}"

    def follow(self, name: str) -> None:
        """Use a link or a button, and wait for the page that it leads to."""
        self.reach(name)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def unfold(self, name: str) -> None:
        """Open what is folded."""
        self.reach(name)
        self.page.keyboard.press("Enter")

    def tick(self, name: str) -> None:
        """Use the space bar: for a box, and for a button as well."""
        self.reach(name)
        self.page.keyboard.press("Space")

    def write(self, name: str, text: str) -> None:
        """Write into a field, instead of what it had."""
        self.reach(name)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def choose(self, name: str, option: str) -> None:
        """Choose from a list, by the first letters of the choice."""
        self.reach(name)
        self.page.keyboard.type(option)

    def hears(self, text: str) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).first.wait_for()
