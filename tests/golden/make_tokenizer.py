# Makes tokenizer.json here from Hugging Face tokenizers and sentencepiece: texts and the ids they must give.
# Run: python3 tests/golden/make_tokenizer.py SHARED_DATA, with tokenizers 0.23.3 and sentencepiece 0.2.3.
import json
import pathlib
import random
import sys
import unicodedata

import sentencepiece
import tokenizers

DATA = pathlib.Path(sys.argv[1])
RANDOM = random.Random(1)
STORIES = "models/stories260K/hf/tokenizer.json"
SMOLLM2 = "tokenizers/smollm2/tokenizer.json"
GPT2 = "tokenizers/gpt2/tokenizer.json"

HAND_MADE = [
    "", " ", "  ", "\n", "\n\n", "\t \n", "a", " a", "a ", "Hello, world!", "Hello  world", " Hello\n world\n\n ", "I'm we'll they've DON'T it's 'sure",
    "1", "12", "123 4567 89012345", "3.14159e-10", "x=1;y=22;\r\n\tz=333", "½ ⅓ ² Ⅷ ④ १२३ ٣٤٥ 一二三", "don’t “quote”", "foo_bar-baz/qux@example.com",
    "if (x > 0) {\n    return x;\n}\n", "\u00a0nbsp\u00a0", "a\u1680b\u2003c\u3000d\u180ee\u200bf\u2028g\u0085h", "  \u3000  x", "trailing   ", "\u180e", "a\u180e\u180e b",
    "é e\u0301 Å A\u030a \u212b ñ n\u0303", "नमस्ते दुनिया", "สวัสดีชาวโลก", "مرحبا بالعالم", "שָׁלוֹם", "你好，世界！", "こんにちは世界", "안녕하세요 세계", "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "Привет, мир!", "Γειά σου Κόσμε ΣΑΣ", "İstanbul ışık", "ǅ ǆ ﬁ ﬂ", "👋🌍", "👨‍👩‍👧‍👦 family", "🏳️‍🌈🇩🇪🇫🇷", "👍🏽👍🏿", "\U0001f600" * 5, "x\u0300\u0301\u0302\u0303y", "q\u0323\u0307 q\u0307\u0323", "\ufeffbom",
    "\u0000null\u0001\u001f\u007f", "a\u200db\u200cc", "\U00020000\U0002a6d6", "\ue000private", "\uffff \ufffd", "zero\u200bwidth", "tab\tsep\tvals", "CamelCaseWord HTTPServer2",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "<|im_start", "|im_start|>", "<|im_start|><|im_end|>", "a<|im_end|>b <|endoftext|> c", "<|<|im_end|>|>",
    "<s>", "</s>", "<s>Hello</s>", " <s> x </s> ", "<unk>", "<0x41><0x0A>", "▁", "▁a", "a▁b", " ▁ ", "<0x", "<repo_name>x<file_sep>y<empty_output>", "Once upon a time, there was a little girl named Lily.",
    "The quick brown fox jumps over the lazy dog. " * 3, "a" * 300, " " * 100, "\n" * 50, "ab" * 100, "ſ K k", "'ſ 'S 'RE", "100%", "€100", "C++ & C#", "naïve café", "....!!??", "—–-", "\r\n\r\n", "\r", " \r\n x", "a\u0301",
    "word" + " " * 7 + "word", "def f(x):\n\treturn x**2  # square\n", "\\n\\t\\u0041", "{\"key\": [1, 2.5, null]}", "https://example.com/a?b=c&d=%20#frag", "日本語とEnglishの混在 text 123", "ÄÖÜäöüß", "\u0130\u0131",
]


def assigned(low, high):
    while True:
        code = RANDOM.randrange(low, high)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co"):
            return chr(code)


def random_text():
    ranges = [(0x20, 0x7F)] * 6 + [(0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x900, 0xE00), (0x1E00, 0x2C00), (0x3000, 0xA000), (0xA000, 0x10000), (0x1F300, 0x1FA00), (0x10000, 0x20000), (0, 0x20)]
    return "".join(assigned(*RANDOM.choice(ranges)) if RANDOM.random() < 0.8 else RANDOM.choice(" \n  \t'0123") for _ in range(RANDOM.randrange(1, 40)))


TEXTS = HAND_MADE + [random_text() for _ in range(190)]
SHORT = [t for t in HAND_MADE if len(t) < 40] + TEXTS[-6:]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def byte_level(**changes):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False, **changes}


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}


def added(content, id, **flags):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}


REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
UNK = [added("<unk>", 0, special=True), added("<s>", 1, special=True), added("</s>", 2, special=True)]
FLAGGED = UNK + [
    added("<l>", 512, lstrip=True), added("<r>", 513, rstrip=True, special=True), added("word", 514, single_word=True), added("Once upon", 515, normalized=True),
    added("{|", 516), added("<|x|>", 517, special=True), added("é", 485, normalized=True), added("..", 518),
]
FLAG_TEXTS = [
    "a <l> b", "a   <l>b", "<l>", "x <r>   y", "<r> <r>", "<r>  <l> z", "word", "a word!", "swords word2 word", "été word", "Once upon a time", "so Once upon", " Once upon", "<|x|>", "{|<|x|>", "{|x|>", "<|x", "é", "a é e\u0301", "a  b   c    d",
    "word<l>word", "\u3000<l>\u3000<r>\u3000q", "e\u0301 Once  upon",
]

VARIANTS = [
    ("smollm2", SMOLLM2, {}, TEXTS),
    ("gpt2", GPT2, {}, SHORT),
    ("llama3 regex", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": LLAMA3}), byte_level()), "model": {"ignore_merges": True}}, SHORT),
    ("qwen2 regex", GPT2, {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence("pretokenizers", split({"Regex": QWEN2}), byte_level())}, SHORT),
    ("tekken regex", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": TEKKEN}), byte_level())}, SHORT),
    ("removed", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": r"\s+"}, "Removed"), byte_level())}, SHORT),
    ("inverted", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": r"\w+"}, "Removed", True), byte_level())}, SHORT),
    ("previous", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"String": " "}, "MergedWithPrevious"), byte_level())}, SHORT),
    ("next", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": r"[\s\p{P}]"}, "MergedWithNext"), byte_level())}, SHORT),
    ("contiguous", GPT2, {"pre_tokenizer": sequence("pretokenizers", split({"Regex": r"\p{P}"}, "Contiguous"), {"type": "Digits", "individual_digits": False}, byte_level(add_prefix_space=True))}, SHORT),
    ("lower", GPT2, {"normalizer": sequence("normalizers", {"type": "Lowercase"}, {"type": "NFC"})}, SHORT),
    ("strip", STORIES, {"normalizer": sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True}, REPLACE)}, SHORT),
    ("stories", STORIES, {}, SHORT),
    ("stories without bytes", STORIES, {"model": {"byte_fallback": False, "fuse_unk": True}}, SHORT),
    ("stories without fusing", STORIES, {"model": {"byte_fallback": False, "fuse_unk": False}}, SHORT),
    ("stories ignoring merges", STORIES, {"pre_tokenizer": metaspace("always", True), "normalizer": None, "model": {"ignore_merges": True}}, SHORT),
    ("metaspace first", STORIES, {"normalizer": None, "pre_tokenizer": metaspace("first", False), "decoder": metaspace("first", False)}, SHORT),
    ("metaspace always", STORIES, {"normalizer": None, "pre_tokenizer": metaspace("always", True), "decoder": metaspace("always", True)}, SHORT),
    ("metaspace never", STORIES, {"normalizer": None, "pre_tokenizer": metaspace("never", True), "decoder": metaspace("never", True)}, SHORT),
    ("gemma", STORIES, {"normalizer": REPLACE, "pre_tokenizer": split({"String": " "}, "MergedWithPrevious")}, SHORT),
    ("added tokens", STORIES, {"added_tokens": FLAGGED}, FLAG_TEXTS),
    ("added tokens, metaspace", STORIES, {"added_tokens": FLAGGED, "normalizer": {"type": "NFC"}, "pre_tokenizer": metaspace("first", True)}, FLAG_TEXTS),
    ("added tokens, no decoder", STORIES, {"added_tokens": FLAGGED, "decoder": None}, FLAG_TEXTS),
    ("strip decoder", STORIES, {"decoder": sequence("decoders", {"type": "Replace", "pattern": {"Regex": "▁+"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Strip", "content": "e", "start": 2, "stop": 1}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 2})}, SHORT),
]


def patched(base, patch):
    full = json.loads((DATA / base).read_text())
    for key, value in patch.items():
        if key == "model":
            full["model"].update(value)
        else:
            full[key] = value
    return tokenizers.Tokenizer.from_str(json.dumps(full))


def id_lists(count, size, favourites):
    def one():
        return [RANDOM.choice(favourites) if RANDOM.random() < 0.5 else RANDOM.randrange(size) for _ in range(RANDOM.randrange(1, 20))]

    return [one() for _ in range(count)]


def variant(name, base, patch, texts):
    tokenizer = patched(base, patch)
    ids = [tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
    tokenizer.encode_special_tokens = True
    plain = {str(i): p for i, t in enumerate(texts) if (p := tokenizer.encode(t, add_special_tokens=False).ids) != ids[i]}
    bytes_of = range(3, 259) if base == STORIES else range(94, 300)
    streams = id_lists(10, tokenizer.get_vocab_size(), list(bytes_of))
    decoded = [[s, tokenizer.decode(s, skip_special_tokens=False), tokenizer.decode(s, skip_special_tokens=True)] for s in streams]
    return {"name": name, "base": base, "patch": patch, "texts": [TEXT_INDEX[t] for t in texts], "ids": ids, "plain": plain, "decoded": decoded}


def piece_model(path, count):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(DATA / path))
    return {"path": path, "texts": list(range(count)), "ids": [processor.encode(t) for t in TEXTS[:count]]}


ALL_TEXTS = TEXTS + FLAG_TEXTS
TEXT_INDEX = {t: i for i, t in enumerate(ALL_TEXTS)}
if __name__ == "__main__":
    golden = {
        "made_with": f"tokenizers {tokenizers.__version__}, sentencepiece {sentencepiece.__version__}",
        "texts": ALL_TEXTS,
        "variants": [variant(*v) for v in VARIANTS],
        "models": [piece_model("tokenizers/sentencepiece/test_model.model", 60), piece_model("tokenizers/mistral/tokenizer.model.v1", 90)],
    }
    out = pathlib.Path(__file__).parent / "tokenizer.json"
    out.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(out.stat().st_size)
