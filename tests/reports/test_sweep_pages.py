"""The page of a sweep: the map of two parameters, and what stands beside it."""

import numpy as np
import pytest

from reports.sweeps import Page, Tried, cells_of, figures_text, heatmap_png, set_text, sweep_markdown, varied

TRIED = tuple(
    Tried({"stop": stop, "bars": bars, "other": other}, None if (stop, bars) == (2.0, 9) else stop * bars + other)
    for stop in (1.0, 2.0)
    for bars in (3, 5, 9)
    for other in (0, 0, 6)
)
FIGURES = {"trades": 12.0, "return_percent": -3.456, "max_drawdown_percent": 10.0, "sharpe": None}
PAGE = Page(
    "a | title", "sharpe", TRIED, [("stop=1", figures_text(FIGURES))], [("1. stop=2", "1 2 3 4")], ["So it is."]
)


def test_a_cell_is_the_median_over_all_other_parameters():
    columns, rows, cells = cells_of(TRIED, "bars", "stop")
    assert columns == ("3", "5", "9")
    assert rows == ("1", "2")
    assert np.array_equal(cells, [[3.0, 5.0, 9.0], [6.0, 10.0, np.nan]], equal_nan=True)


def test_of_many_values_neighbours_share_a_cell_so_that_the_map_stays_small():
    many = [Tried({"stop": number / 7, "bars": number % 5}, float(number)) for number in range(500)]
    columns, rows, cells = cells_of(many, "stop", "bars")
    assert cells.shape == (5, 10)
    assert columns[0] == "0…7"
    assert rows == ("0", "1", "2", "3", "4")
    assert np.isfinite(cells).all()
    assert len(heatmap_png(PAGE._replace(tried=many), "stop", "bars")) < 200_000


def test_the_map_lies_across_the_parameter_with_the_most_values():
    assert varied(TRIED) == ("bars", "stop", "other")
    assert varied([Tried({"stop": 1.0}, 2.0)]) == ()


def test_the_map_is_a_picture_and_the_same_each_time():
    picture = heatmap_png(PAGE, "bars", "stop")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture == heatmap_png(PAGE, "bars", "stop")


def test_a_map_without_any_figure_is_drawn_too():
    empty = PAGE._replace(tried=[each._replace(figure=None) for each in TRIED])
    assert heatmap_png(empty, "bars", "stop").startswith(b"\x89PNG")


def test_the_page_says_what_was_best_what_came_after_and_what_it_is_worth():
    text = sweep_markdown(PAGE)
    assert text.startswith("# a \\| title\n")
    assert "So it is." in text
    assert "| stop=1 | 12 | -3.46 | 10.00 | - |" in text
    assert "| 1. stop=2 | 1 | 2 | 3 | 4 |" in text
    assert "data:image/png;base64," in text
    assert "base64" not in sweep_markdown(PAGE._replace(tried=[Tried({"stop": 1.0}, 2.0), Tried({"stop": 2.0}, 1.0)]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "p=0.1"),
        (0.1 + 0.2, "p=0.30000000000000004"),
        (1e-7, "p=1e-07"),
        (2.0, "p=2"),
        (True, "p=True"),
        ("x", "p=x"),
    ],
)
def test_a_set_is_said_as_it_is_typed_again(value, text):
    assert set_text({"p": value}) == text
