# Writes tokenizer_nfc_data.cpp and tokenizer_class_data.cpp beside itself: what Python's unicodedata says of the characters
# that Hugging Face tokenizers know. Their normal form C is that of an older Unicode (9), their lower case that of a newer
# (17), and ids must be theirs. Run: python3 src/text/make_tokenizer_unicode.py, with tokenizers 0.23.3.
import contextlib
import pathlib
import unicodedata

import tokenizers

DECOMPOSED = tokenizers.normalizers.NFD().normalize_str
LOWERED = tokenizers.normalizers.Lowercase().normalize_str
LAST_MARK = "\u0345"  # of the highest combining class: whatever mark stands behind it is put before it
SCALARS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def literal(code):
    if code < 0x80:
        return chr(code)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def string_rows(name, records):
    print(f"const std::u32string_view {name} =")
    row = ""
    for record in records:
        text = "".join(literal(c) for c in record)
        if len(row) + len(text) > 100:
            print(f'    U"{row}"')
            row = ""
        row += text
    print(f'    U"{row}";\n')


def runs_rows(name, records):
    print(f"const {name}Run k{name}[] = {{")
    row = "   "
    for record in records:
        text = " {" + ", ".join(f"0x{v:X}" if v >= 32 else str(v) for v in record) + "},"
        if len(row) + len(text) > 108:
            print(row)
            row = "   "
        row += text
    print(row + "\n};")
    print(f"const std::size_t k{name}Runs = {len(records)};\n")


def combining_runs():
    runs = []
    for code in SCALARS:
        value = unicodedata.combining(chr(code))
        known = chr(code) == LAST_MARK or DECOMPOSED(LAST_MARK + chr(code)) != LAST_MARK + chr(code)
        if not value or not known:
            continue
        if runs and runs[-1][1] == code - 1 and runs[-1][2] == value:
            runs[-1][1] = code
        else:
            runs.append([code, code, value])
    return runs


def lower_runs():
    runs = []  # first, last, step, delta
    for code in SCALARS:
        lower = LOWERED(chr(code))
        if code < 0x80 or lower == chr(code) or len(lower) != 1:
            continue
        delta = ord(lower) - code
        if runs and runs[-1][3] == delta:
            gap = code - runs[-1][1]
            if gap <= 2 and (runs[-1][0] == runs[-1][1] or runs[-1][2] == gap):
                runs[-1][1:3] = [code, gap]
                continue
        runs.append([code, code, 1, delta])
    return runs


@contextlib.contextmanager
def data_file(name, what):
    with open(pathlib.Path(__file__).parent / name, "w") as out, contextlib.redirect_stdout(out):
        print(f"// What Hugging Face tokenizers know of Unicode: {what}.")
        print("// Written by make_tokenizer_unicode.py; not edited by hand.")
        print("// clang-format off")
        print('#include "tokenizer_unicode.hpp"\n')
        print("namespace prefer::text::unicode {\n")
        yield
        print("}  // namespace prefer::text::unicode")


def main():
    composing, other_pairs, singles = [], [], []
    for code in SCALARS:
        rule = unicodedata.decomposition(chr(code))
        if not rule or rule.startswith("<") or DECOMPOSED(chr(code)) == chr(code):
            continue
        parts = [int(p, 16) for p in rule.split()]
        if len(parts) == 1:
            singles.append((code, *parts))
        elif unicodedata.normalize("NFC", chr(code)) == chr(code):
            composing.append((code, *parts))
        else:
            other_pairs.append((code, *parts))
    with data_file("tokenizer_nfc_data.cpp", "canonical decompositions"):
        string_rows("kComposing", composing)
        string_rows("kDecomposingOnly", other_pairs)
        string_rows("kSingles", singles)
    with data_file("tokenizer_class_data.cpp", "combining classes; letters above ASCII with one letter as lower case"):
        runs_rows("Combining", combining_runs())
        runs_rows("Lower", lower_runs())


main()
