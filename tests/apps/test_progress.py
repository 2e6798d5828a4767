"""The bar of a long search."""

from io import StringIO

from parity.apps.progress import progress_bar


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_watches_no_bar() -> None:
    assert progress_bar(StringIO()) is None


def test_a_long_search_shows_how_far_it_is_and_cleans_up() -> None:
    out, times = Terminal(), iter([0.0, 0.5, 2.0])
    report = progress_bar(out, lambda: next(times))
    assert report is not None
    report(10, 100)
    assert out.getvalue() == ""  # under a second nothing is shown
    report(50, 100)
    assert "50 % of 100 layouts" in out.getvalue()
    report(100, 100)
    assert out.getvalue().endswith("\r\x1b[K")


def test_a_short_search_shows_nothing() -> None:
    out = Terminal()
    report = progress_bar(out, lambda: 0.0)
    assert report is not None
    report(100, 100)
    assert out.getvalue() == ""
