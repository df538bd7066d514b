"""How a text file seems to be written: its encoding, its heading, what cuts its lines, whether it has a header."""

import codecs
import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flows.sources.export_files import head_of

_HEAD_BYTES = 1 << 20
_SIGNS = ",;\t|"
#: Lines that are looked at, and lines that a heading has at most.
_LINES, _HEADING = 200, 20
#: Cells that a title fills at most.
_TITLE = 2
#: Encodings of other scripts, each with the words that begin the names of its letters; the pickier first.
_SCRIPTS = {
    "cp932": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"),
    "euc_jp": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"),
    "cp949": ("HANGUL",),
    "cp950": ("CJK",),
    "gb18030": ("CJK",),
    "cp1251": ("CYRILLIC",),
}
#: Of Japanese text at least this share is no Chinese sign.
_KANA = 0.05
#: So many words with a sign amid their letters are read by the wrong one of two like encodings: zamówienie z³o¿one.
_BROKEN = 3
#: Share of the letters that are of one script.
_ONE_SCRIPT = 0.95


def look_at_text(name: str, keys: dict[str, Any], reasons: dict[str, str]) -> bool:
    """Note what is not the default: encoding, heading, delimiter, quoting, header; return whether it has any line."""
    head = head_of(name, _HEAD_BYTES)
    encoding = encoding_of(head)
    if encoding not in ("utf-8", "utf-16"):
        keys["encoding"] = encoding
        reasons["encoding"] = "it has bytes that are no UTF-8; cp1252 and latin-1 differ in few signs: look at accents"
        if encoding not in ("cp1252", "latin-1", "cp1250"):
            reasons["encoding"] = f"it is no UTF-8; read as {encoding} its letters are of one script: look at words"
    text = head.decode(encoding, errors="replace").lstrip("\ufeff")
    every = [line.rstrip("\r") for line in text.split("\n")[:_LINES]]
    if above := _lines_above(every):
        keys["skip"] = above
        reasons["skip"] = f"the first {above} lines have fewer columns than the next ones: a heading, it seems"
    lines = [line for line in every[above:] if line]
    if lines:
        _look_at_lines(lines, keys, reasons)
    return bool(lines)


def _look_at_lines(lines: list[str], keys: dict[str, Any], reasons: dict[str, str]) -> None:
    if len(lines[0].split("::")) > 2:
        keys |= {"delimiter": "::", "quote": ""}
        reasons["delimiter"] = "the first line is cut by ::"
    if "delimiter" not in keys and re.search(r'[^,;\t|\n\\]\\"[^",;\t|\n]', "\n".join(lines)):
        keys["escape"] = "\\"
        reasons["escape"] = 'a quote within quotes is written \\"'
    fields = lines[0].split("::") if "delimiter" in keys else _widest_cut(lines[0])
    # No column is named by a number or a time.
    if not any(re.match(r"\s*-?\d", field) for field in fields):
        return
    width = len(fields) if "delimiter" in keys else _usual_width(lines)
    keys["names"] = [f"column{place}" for place in range(1, width + 1)]
    reasons["names"] = f"the first line looks like data, not like names: {lines[0][:60]!r}; give better names here"


def _usual_width(lines: Sequence[str]) -> int:
    """How many columns most lines have, cut as the first line is; that may have the sign in its text, too."""
    sign = max(_SIGNS, key=lambda each: len(_cut(lines[0], each)))
    widths = [len(_cut(line, sign)) for line in lines]
    return max(dict.fromkeys(widths), key=widths.count)


def _lines_above(lines: list[str]) -> int:
    """How many lines stand above the header: those with fewer columns than most lines have.

    Of the signs that may cut the lines it is the one that cuts most of them alike; at best the first line, too.
    """
    cuts = []
    for sign in _SIGNS:
        rows = [_cut(line, sign) for line in lines]
        widths = [len(row) for row in rows]
        usual = max(set(widths), key=widths.count, default=0)
        if usual > 1:
            cuts.append((widths[0] == usual, widths.count(usual), usual, rows))
    _, _, usual, rows = max(cuts, default=(False, 0, 0, []))
    return rows_above(rows, usual)


def rows_above(rows: Sequence[Sequence[str]], usual: int) -> int:
    """How many of these rows stand above the header, where most have `usual` cells: a title, blank rows, a few words.

    A spreadsheet fills a title's row up with empty cells, so that those with something in them count.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    most = max(filled[: 2 * _HEADING], default=0)
    places = (
        place
        for place, row in enumerate(rows)
        if len(row) >= usual and (filled[place] > _TITLE or 2 * filled[place] >= most)
    )
    above = next(places, 0)
    return above if usual > 2 and above <= _HEADING else 0


def _widest_cut(line: str) -> list[str]:
    return max((_cut(line, sign) for sign in _SIGNS), key=len)


def _cut(line: str, sign: str) -> list[str]:
    return next(csv.reader([line], delimiter=sign), [])


def encoding_of(head: bytes) -> str:
    """The encoding of a file that begins so: UTF-8, UTF-16, one of another script, or a Western one."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if _decoded(head, "utf-8") is not None:
        return "utf-8"
    if _is_other_script(head):
        for encoding, script in _SCRIPTS.items():
            text = _decoded(head, encoding)
            if (
                text is not None
                and _letters_are(text, script)
                and not (encoding == "cp1251" and _words_are_mixed(text))
            ):
                return "gb18030" if encoding == "cp950" and _is_rather_simplified(head) else encoding
    broken = re.findall(r"(?<=[^\W\d_])[³¿¹¶](?=[^\W\d_])", head.decode("cp1252", errors="replace"))
    if len(broken) >= _BROKEN and not _is_torn_utf_8(head):
        return "cp1250"
    western = any(0x80 <= byte <= 0x9F for byte in head) and _decoded(head, "cp1252") is not None
    return "cp1252" if western else "latin-1"


def _is_rather_simplified(head: bytes) -> bool:
    """Whether Chinese bytes are more often common signs of GB 2312 than of Big5, which reads most of them, too."""
    if _decoded(head, "gb18030") is None:
        return False
    first = [pair[0] for pair in re.findall(rb"[\x81-\xfe][\x40-\xfe]", head)]
    return sum(0xB0 <= byte <= 0xD7 for byte in first) > sum(0xA4 <= byte <= 0xC6 for byte in first)


def _decoded(head: bytes, encoding: str) -> str | None:
    """The text, whose last letter may be cut; None where it is no text in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _is_other_script(head: bytes) -> bool:
    """Whether most letters beyond ASCII stand beside each other, and are no UTF-8 with a broken letter among it."""
    runs = re.findall(rb"[\x80-\xff]+", head)
    high = sum(map(len, runs))
    return sum(len(run) for run in runs if len(run) > 1) > high / 2 and not _is_torn_utf_8(head)


def _is_torn_utf_8(head: bytes) -> bool:
    """Whether nearly all letters beyond ASCII are UTF-8, with a broken one among them."""
    torn = head.decode("utf-8", errors="ignore")
    kept = len(torn.encode("utf-8")) - sum(byte < 0x80 for byte in head)
    return kept >= 0.9 * sum(byte >= 0x80 for byte in head)


def _words_are_mixed(text: str) -> bool:
    """Whether many words have letters of ASCII beside others, as Western ones have and Cyrillic ones have not."""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    return sum(bool(re.search("[A-Za-z]", word)) for word in words) > 0.2 * len(words)


def _letters_are(text: str, script: tuple[str, ...]) -> bool:
    """Whether the letters beyond ASCII are of one script; Japanese has its own letters beside the Chinese ones."""
    counts: Counter[str] = Counter()
    for letter, count in Counter(text).items():
        if letter > "\x7f" and letter.isalpha() and not "\uff01" <= letter <= "\uff5e":
            counts[unicodedata.name(letter, "").split()[0].removesuffix("-HIRAGANA")] += count
    every = sum(counts.values())
    has_kana = "HIRAGANA" not in script or _has_kana(text) or _has_kana(text.partition("\n")[0])
    return every > 0 and sum(counts[name] for name in set(script)) >= _ONE_SCRIPT * every and has_kana


def _has_kana(text: str) -> bool:
    """Whether some of the letters beyond ASCII are Japanese alone; of values that are names few may be."""
    letters = [letter for letter in text if letter > "\x7f" and letter.isalpha()]
    kana = sum("\u3041" <= letter <= "\u30ff" for letter in letters)
    return kana > 0 and kana >= _KANA * len(letters)
