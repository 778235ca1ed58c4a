# Writes tokenizer_regex_data.cpp beside itself: what Oniguruma (in Hugging Face tokenizers) counts to a general
# category and PCRE2 10.42 does not yet. Run: python3 src/text/make_tokenizer_regex.py, with tokenizers 0.23.3 and a
# Python whose unicodedata is of Unicode 14, as PCRE2 10.42 is.
import pathlib
import unicodedata

from tokenizers import Regex, pre_tokenizers

assert unicodedata.unidata_version.startswith("14.")


def newer(category):
    matcher = pre_tokenizers.Split(Regex(r"\p{%s}" % category), "removed", invert=True)
    runs = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) != "Cn" or not matcher.pre_tokenize_str(chr(code)):
            continue
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return [rf"\x{{{a:x}}}" if a == b else rf"\x{{{a:x}}}-\x{{{b:x}}}" for a, b in runs]


with open(pathlib.Path(__file__).parent / "tokenizer_regex_data.cpp", "w") as out:
    print("// Code points of general categories that came with Unicode 15 and 16, as content of a class of PCRE2.", file=out)
    print("// Written by make_tokenizer_regex.py; not edited by hand.", file=out)
    print("// clang-format off", file=out)
    print('#include "tokenizer_regex.hpp"\n', file=out)
    print("namespace prefer::text {\n", file=out)
    print("const NewerRuns kNewerRuns[] = {", file=out)
    categories = ["L", "Lu", "Ll", "Lm", "Lo", "M", "Mn", "Mc", "N", "Nd", "No", "P", "Po", "S", "So"]
    for category in categories:
        print(f'    {{"{category}",', file=out)
        row = ""
        for run in newer(category):
            if len(row) + len(run) > 92:
                print(f'     R"({row})"', file=out)
                row = ""
            row += run
        print(f'     R"({row})"}},', file=out)
    print("};", file=out)
    print(f"const std::size_t kNewerRunsCount = {len(categories)};\n", file=out)
    print("}  // namespace prefer::text", file=out)
