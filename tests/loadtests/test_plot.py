from __future__ import annotations

from xml.etree import ElementTree

from loadtests.plot import bars, lines

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_line_is_drawn_for_each_name_and_higher_values_stand_higher() -> None:
    svg = lines("Title", "x", "y", {"<one>": [(10, 1), (100, 2)], "two": [(10, 4), (100, 4)]})
    drawn = ElementTree.fromstring(svg).findall(f"{SVG}polyline")
    heights = [[float(p.split(",")[1]) for p in line.attrib["points"].split()] for line in drawn]
    assert {"Title", "<one>", "two"} <= set(texts(svg))
    assert heights[0][0] > heights[0][1] > heights[1][0] == heights[1][1]


def test_a_logarithmic_scale_has_equal_steps_for_equal_factors() -> None:
    svg = lines("", "", "", {"one": [(1, 1), (10, 10), (100, 100)]}, log_y=True)
    (line,) = ElementTree.fromstring(svg).findall(f"{SVG}polyline")
    first, second, third = (float(p.split(",")[1]) for p in line.attrib["points"].split())
    assert abs((first - second) - (second - third)) < 0.2


def test_a_bar_is_as_long_as_its_median() -> None:
    svg = bars("Cost", "µs", {"graygate": (1, 2, 3), "nginx": (1, 4, 4)})
    widths = [
        float(bar.attrib["width"]) for bar in ElementTree.fromstring(svg).findall(f"{SVG}rect")[1:]
    ]
    assert widths[1] == 2 * widths[0]
    assert {"Cost (µs)", "graygate", "nginx"} <= set(texts(svg))


def test_nothing_measured_is_no_plot() -> None:
    assert lines("Title", "x", "y", {}) == ""
