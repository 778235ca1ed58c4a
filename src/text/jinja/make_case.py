# Writes case_data.cpp beside itself: upper and title case as Python's str.upper and str.title have them, character by
# character. (Lower case is the tokenizers' own table.) Run: python3 src/text/jinja/make_case.py, with Python 3.12 or later.
import pathlib

SCALARS = [code for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000]


def literal(text):
    escaped = (c if c < "\x80" else f"\\u{ord(c):04X}" if c < "\U00010000" else f"\\U{ord(c):08X}" for c in text)
    return '"' + "".join(escaped) + '"'


def upper_runs():
    runs = []  # first, last, step, delta
    for code in SCALARS:
        upper = chr(code).upper()
        if upper == chr(code) or len(upper) != 1 or is_special(code):
            continue
        delta = ord(upper) - code
        if runs and runs[-1][3] == delta:
            gap = code - runs[-1][1]
            if gap <= 2 and (runs[-1][0] == runs[-1][1] or runs[-1][2] == gap):
                runs[-1][1:3] = [code, gap]
                continue
        runs.append([code, code, 1, delta])
    return runs


def is_special(code):
    return len(chr(code).upper()) != 1 or chr(code).upper() != chr(code).title()


def rows(declaration, items):
    lines, row = [f"const {declaration} = {{"], "   "
    for item in items:
        if len(row) + len(item) > 108:
            lines.append(row)
            row = "   "
        row += " {" + item + "},"
    return "\n".join(lines + [row, "};"])


runs = upper_runs()
special = [code for code in SCALARS if is_special(code)]
(pathlib.Path(__file__).parent / "case_data.cpp").write_text(f"""\
// Upper and title case of the characters above ASCII that have one, as Python has them.
// Written by make_case.py; not edited by hand.
// clang-format off
#include "src/text/jinja/case_data.hpp"

namespace prefer::jinja {{

{rows("UpperRun kUpper[]", (f"0x{a:X}, 0x{b:X}, {step}, {delta}" for a, b, step, delta in runs))}
const std::size_t kUpperRuns = {len(runs)};

{rows("SpecialCase kSpecial[]", (f"0x{c:X}, {literal(chr(c).upper())}, {literal(chr(c).title())}" for c in special))}
const std::size_t kSpecialCases = {len(special)};

}}  // namespace prefer::jinja
""")
