"""What a reader of a page sees: colours on its charts, texts too faint to read, what sticks out at the side."""

import json
from typing import Any

from chromium import Tab

NEAR = 40  # of 255: as far from a colour as the edge of a drawn line may be
READABLE = 4.5  # of WCAG 2.2 AA: contrast of a text to what lies behind it

PIXELS = """(selector, name) => {
    const wanted = rgba(getComputedStyle(document.documentElement).getPropertyValue(name));
    const places = [];
    for (const canvas of document.querySelectorAll(`${selector} canvas`)) {
        if (!canvas.width || !canvas.height) continue;
        const box = canvas.getBoundingClientRect();
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] < 250 || [0, 1, 2].some((part) => Math.abs(data[i + part] - wanted[part]) > NEAR)) continue;
            const at = i / 4;
            places.push([box.left + (at % canvas.width), box.top + Math.floor(at / canvas.width)]);
        }
    }
    return places;
}"""

FAINT = """() => {
    const over = (upper, lower) => lower.map((value, i) => (i < 3 ? value + (upper[i] - value) * upper[3] / 255 : 255));
    const behind = (element) => {
        const below = element.parentElement ? behind(element.parentElement) : [255, 255, 255, 255];
        return over(rgba(getComputedStyle(element).backgroundColor), below);
    };
    const light = (colour) => {
        const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = colour.map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, style')) continue;
        const style = getComputedStyle(element);
        const back = behind(element);
        const ink = over(rgba(element.closest('svg') ? style.fill : style.color), back);
        const [dark, bright] = [light(ink), light(back)].sort((a, b) => a - b);
        const contrast = (bright + 0.05) / (dark + 0.05);
        if (contrast < READABLE) found.push(`${contrast.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 60)}`);
    }
    return found;
}"""

# A colour as the browser paints it, whatever it is written as.
RGBA = """const known = new Map();
const rgba = (colour) => {
    if (!known.has(colour)) known.set(colour, painted(colour));
    return known.get(colour);
};
const painted = (colour) => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
};"""


def pixels(tab: Tab, selector: str, colour: str) -> list[tuple[float, float]]:
    """Where in the window a chart below `selector` shows the colour that style.css calls `colour`."""
    return [(x, y) for x, y in _called(tab, PIXELS, selector, f"--{colour}")]


def faint_texts(tab: Tab) -> list[str]:
    """Texts with less contrast than a person needs, each with the contrast that it has."""
    return list(_called(tab, FAINT))


def sticks_out_px(tab: Tab) -> int:
    """So far a page is wider than its window: a phone's reader would have to push it to and fro."""
    return int(tab.value("document.scrollingElement.scrollWidth - document.documentElement.clientWidth"))


def _called(tab: Tab, function: str, *given: str) -> Any:
    constants = f"const NEAR = {NEAR}, READABLE = {READABLE};"
    return tab.value(f"(() => {{ {constants} {RGBA} return ({function})(...{json.dumps(given)}); }})()")
