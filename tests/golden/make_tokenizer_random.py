# Makes tokenizer_random.json and tokenizers/*.json here: 10,000 random strings and, by blocks of 100, digests of what
# Hugging Face tokenizers make of them, or of a unigram .model sentencepiece.
# Run: python3 tests/golden/make_tokenizer_random.py SHARED_DATA [NAME BLOCK], with tokenizers 0.23.3, transformers 5.23.0
# (out of GGUF and .model files; it wants torch for the former, protobuf for the latter), gguf 0.19.0 and sentencepiece
# 0.2.3. With NAME and BLOCK, prints that block's lines, a string each, and writes nothing.
import collections
import hashlib
import json
import pathlib
import sys
import types

import sentencepiece
import tokenizers
import transformers
from make_random import draw
from make_tokenizer import LLAMA3, QWEN2, added, byte_level, sequence, split
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from transformers.convert_slow_tokenizer import LlamaConverter, SentencePieceExtractor, SpmConverter, generate_merges

HERE = pathlib.Path(__file__).parent
DATA = pathlib.Path(sys.argv[1])
SEED, COUNT, BLOCK = 20, 10000, 100

# What strings are made of: a piece is up to `longest` items of a row, from a list or between two code points.
SOURCES = [
    {"longest": 3, "items": [" the", " of", "and", " to", "Hello", " World", " I", " can", "ing", " there", "ed", " was", "once", " upon", "time", " naïve", "café", "Über"]},
    {"longest": 3, "items": ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'LL", "'ſ", "’s", " don't", "I'm", "'", "''"]},
    {"longest": 2, "items": ["if (x > 0) {", "\n    return x;\n", "\t\t", "();\r\n", "// ", "0x1F", "https://a.b/c?d=", "foo_bar", "#include <", "3.14e-10", "1,000,000", "==", "->", "..."]},
    {"longest": 2, "items": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>", "<|end|>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<repo_name>", "<tool_call>", "</tool_call>"]},
    {"longest": 3, "items": ["<|im_start", "|im_end|>", "<|", "|>", "<", "</", "<s", "<0x0A>", "<0xE4>", "<0x", "▁", "▁the", "Ġ", "Ċ", "<|<|", "endoftext", "⁇"]},
    {"longest": 4, "items": [" ", "  ", "\n", "\t", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"]},
    {"longest": 6, "items": [" "]},
    {"longest": 3, "items": ["\n"]},
    {"longest": 2, "items": ["👨\u200d👩\u200d👧\u200d👦", "👍🏽", "👋🏿", "🏳️\u200d🌈", "🇩🇪", "🇫🇷🇯🇵", "1️⃣", "❤️", "😀", "🧑🏻\u200d🚀"]},
    {"longest": 2, "items": ["नमस्ते", " दुनिया", "क्षत्रिय", "สวัสดี", "ชาวโลก", "مرحبا", " بالعالم", "שָׁלוֹם", "안녕하세요", "\u1112\u1161\u11ab", "こんにちは", "世界", "你好，", "Привет", " Κόσμε"]},
    {"longest": 2, "items": ["e\u0301", "A\u030a", "q\u0323\u0307", "q\u0307\u0323", "\u212b", "\u2126", "ﬁ", "ǆ", "İ", "ß", "½", "Ⅷ", "²", "④", "१२", "٣٤", "\u0344", "\ufb1d", "\U0001d15e", "\u0958"]},
    {"longest": 10, "range": "az"}, {"longest": 3, "range": "AZ"}, {"longest": 7, "range": "09"}, {"longest": 5, "range": "!@"}, {"longest": 3, "range": "[`"}, {"longest": 3, "range": "{~"},
    {"longest": 3, "range": "\x00\x1f"}, {"longest": 3, "range": "\x7f\x9f"}, {"longest": 6, "range": "\xa0\u024f"}, {"longest": 4, "range": "\u0300\u036f"}, {"longest": 6, "range": "\u0370\u052f"},
    {"longest": 6, "range": "\u0590\u074f"}, {"longest": 6, "range": "\u0900\u0dff"}, {"longest": 6, "range": "\u0e00\u0fff"}, {"longest": 4, "range": "\u1100\u11ff"}, {"longest": 4, "range": "\u1300\u1fff"},
    {"longest": 4, "range": "\u2000\u206f"}, {"longest": 4, "range": "\u2070\u2bff"}, {"longest": 4, "range": "\u2c00\u2fff"}, {"longest": 5, "range": "\u3000\u31ff"}, {"longest": 6, "range": "\u4e00\u9fff"},
    {"longest": 4, "range": "\ua000\uabff"}, {"longest": 5, "range": "\uac00\ud7ff"}, {"longest": 3, "range": "\ue000\uf8ff"}, {"longest": 4, "range": "\uf900\ufdff"}, {"longest": 4, "range": "\ufe00\uffff"},
    {"longest": 4, "range": "\U00010000\U00016fff"}, {"longest": 3, "range": "\U00017000\U0001ffff"}, {"longest": 4, "range": "\U0001f1e6\U0001f1ff"}, {"longest": 4, "range": "\U0001f300\U0001faff"},
    {"longest": 3, "range": "\U0001d400\U0001d7ff"}, {"longest": 3, "range": "\U00020000\U0003ffff"}, {"longest": 2, "range": "\U00040000\U000dffff"}, {"longest": 2, "range": "\U000e0000\U000e01ef"}, {"longest": 2, "range": "\U000f0000\U0010ffff"},
]


def random_text(seed, index):
    """The string of an index: its n-th draw is the first word of the keyed bits at position n, modulo what is wanted."""
    position = 0

    def below(limit):
        nonlocal position
        position += 1
        return draw(seed, 0, index, 0, 0, position - 1)[0] % limit

    def item(source):
        if "items" in source:
            return source["items"][below(len(source["items"]))]
        first, last = map(ord, source["range"])
        return chr(first + below(last - first + 1))

    text = ""
    for _ in range(1 + below(12)):
        source = SOURCES[below(len(SOURCES))]
        piece = "".join([item(source) for _ in range(1 + below(source["longest"]))])
        text += piece * (1 + below(60)) if below(24) == 0 else piece
    return text


def trained(name, normalizer, pattern, ignore_merges, bos, added_tokens):
    """Writes a small byte-level BPE with the frame of a real one, trained on other random strings."""
    frame = {"version": "1.0", "normalizer": normalizer, "pre_tokenizer": sequence("pretokenizers", split({"Regex": pattern}), byte_level()), "decoder": byte_level(), "model": {"type": "BPE", "ignore_merges": ignore_merges, "vocab": {}, "merges": []}}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(frame))
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator([random_text(SEED + 1, i) for i in range(3000)], trainer)
    full = json.loads(tokenizer.to_str())
    full["added_tokens"] = [added(content, 900 + i, special=special) for i, (content, special) in enumerate(added_tokens)]
    if bos:
        begin = {"SpecialToken": {"id": bos, "type_id": 0}}
        full["post_processor"] = {"type": "TemplateProcessing", "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {bos: {"id": bos, "ids": [900], "tokens": [bos]}}}
    path = HERE / "tokenizers" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(full, ensure_ascii=False, separators=(",", ":")) + "\n")


def lines_of_tokenizers(tokenizer, texts):
    """Text, ids with special tokens recognised and with them plain, and the former decoded with and without them."""
    tokenizer.encode_special_tokens = False
    ids = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    tokenizer.encode_special_tokens = True
    plain = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    with_special = tokenizer.decode_batch(ids, skip_special_tokens=False)
    without = tokenizer.decode_batch(ids, skip_special_tokens=True)
    return [line(t, a, b, c, d) for t, a, b, c, d in zip(texts, ids, plain, with_special, without)]


def lines_of_sentencepiece(processor, texts):
    """Text, ids and those decoded."""
    ids = processor.encode(texts)
    return [line(t, a, b) for t, a, b in zip(texts, ids, processor.decode(ids))]


def line(*parts):
    return " ".join(json.dumps(p, ensure_ascii=False, separators=(",", ":")) for p in parts) + "\n"


def from_json(path):
    return lambda texts: lines_of_tokenizers(tokenizers.Tokenizer.from_file(str(path)), texts)


def from_gguf(path):
    def lines(texts):
        read = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name).backend_tokenizer
        # Written and read again, it has the special tokens of the GGUF only: transformers' class adds </s>.
        return lines_of_tokenizers(tokenizers.Tokenizer.from_str(read.to_str()), texts)

    return lines


def piece_processor(path, **normalizer):
    model = ModelProto.FromString(path.read_bytes())
    # Unknown tokens are decoded to their own spelling, as Hugging Face tokenizers do, rather than to " ⁇ ".
    model.trainer_spec.unk_surface = "<unk>"
    for name, value in normalizer.items():
        setattr(model.normalizer_spec, name, value)
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def from_unigram_model(path):
    return lambda texts: lines_of_sentencepiece(piece_processor(path), texts)


class ScoredExtractor(SentencePieceExtractor):
    """Version 4's: 5.23.0's LlamaConverter still hands over scores, to an extractor that now wants a class and would rank
    merges by ids, which are not in the order of Mistral's scores. 4.57.6's LlamaTokenizerFast has the same merges."""

    def extract(self, scores):
        vocab = {piece.piece: i for i, piece in enumerate(self.proto.pieces)}
        return vocab, generate_merges(vocab, scores)


class ScoredLlamaConverter(LlamaConverter):
    SpmExtractor = ScoredExtractor


def converted(converter, path):
    slow = types.SimpleNamespace(vocab_file=str(path), convert_ids_to_tokens=piece_processor(path).id_to_piece)
    tokenizer = converter(slow).converted()
    # So does the class in transformers that the result is for.
    tokenizer.add_special_tokens([tokenizers.AddedToken("<unk>", normalized=False)])
    return tokenizer


def from_llama_model(path):
    """transformers' lines, having seen that sentencepiece gives the same ids and texts where it can tell."""

    def lines(texts):
        tokenizer, processor = converted(ScoredLlamaConverter, path), piece_processor(path)
        made = lines_of_tokenizers(tokenizer, texts)
        tokenizer.encode_special_tokens = True
        plain = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
        assert processor.encode(texts) == plain
        assert processor.decode(plain) == tokenizer.decode_batch(plain, skip_special_tokens=False)
        return made

    return lines


# Why transformers' conversion of a unigram model gives other ids than sentencepiece: of a text as sentencepiece maps its
# characters, and as tokenizers does.
def maps_by_grapheme(mapped, other):
    """tokenizers maps whole graphemes or single characters, sentencepiece the longest stretch that it knows."""
    return mapped != other


def spells_special(mapped, other):
    """The conversion keeps control tokens among the pieces, so texts spell them even with special tokens off."""
    return any(token in mapped for token in ("<s>", "</s>", "<unk>"))


def begins_or_ends_with_metaspace(mapped, other):
    """Before a U+2581 that stands in the text tokenizers puts no other; at the end sentencepiece drops it as a space."""
    return mapped.strip(" ").startswith("▁") or mapped.strip(" ").endswith("▁")


def ends_with_other_space(mapped, other):
    """tokenizers drops all white space (Unicode's, Python's is more) from the end, sentencepiece spaces."""
    last = mapped.rstrip(" ")[-1:]
    return last.isspace() and not "\x1c" <= last <= "\x1f"


REASONS = [maps_by_grapheme, spells_special, begins_or_ends_with_metaspace, ends_with_other_space]


def unlike_tokenizers(path, texts):
    """How many texts transformers' conversion gives other ids for, by the first reason; fails where there is none."""
    tokenizer, processor = converted(SpmConverter, path), piece_processor(path)
    tokenizer.encode_special_tokens = True
    charsmap = tokenizers.normalizers.Precompiled(ModelProto.FromString(path.read_bytes()).normalizer_spec.precompiled_charsmap)
    mapper = piece_processor(path, add_dummy_prefix=False, remove_extra_whitespaces=False, escape_whitespaces=False)
    wanted = processor.encode(texts)
    decoded = zip(processor.decode(wanted), tokenizer.decode_batch(wanted, skip_special_tokens=False))
    counts = collections.Counter()
    for text, ids, encoding, (whole, other) in zip(texts, wanted, tokenizer.encode_batch(texts, add_special_tokens=False), decoded):
        mapped = mapper.normalize(text)
        # tokenizers' decoder drops one U+2581 from the front, sentencepiece all.
        assert whole == other or mapped.strip(" ").startswith("▁"), text
        if encoding.ids == ids:
            continue
        reasons = [reason.__name__ for reason in REASONS if reason(mapped, charsmap.normalize_str(text))]
        if not reasons and sorted(encoding.ids) == sorted(ids):
            reasons = ["orders_equal_scores"]  # the same pieces in another order: sentencepiece adds up in 32 bits
        assert reasons, text
        counts[reasons[0]] += 1
    return {"all": counts.total(), **dict(sorted(counts.items()))}


UNIGRAM = DATA / "tokenizers/sentencepiece/test_model.model"
# Name, how its peer is made, and the files that must be it: "golden/..." here, the others in the shared data.
TOKENIZERS = [
    ("llama3", from_json(HERE / "tokenizers/llama3.json"), ["golden/tokenizers/llama3.json"]),
    ("qwen2", from_json(HERE / "tokenizers/qwen2.json"), ["golden/tokenizers/qwen2.json"]),
    ("gpt2", from_json(DATA / "tokenizers/gpt2/tokenizer.json"), ["tokenizers/gpt2/tokenizer.json"]),
    ("gpt2_gguf", from_gguf(DATA / "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf"), ["tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf"]),
    ("smollm2", from_json(DATA / "tokenizers/smollm2/tokenizer.json"), ["tokenizers/smollm2/tokenizer.json"]),
    ("stories260K", from_json(DATA / "models/stories260K/hf/tokenizer.json"), ["models/stories260K/hf/tokenizer.json"]),
    ("phi3", from_gguf(DATA / "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf"), ["tokenizers/llama.cpp/ggml-vocab-phi-3.gguf"]),
    ("stories260K_model", from_llama_model(DATA / "models/stories260K/hf/tokenizer.model"), ["models/stories260K/hf/tokenizer.model"]),
    ("mistral", from_llama_model(DATA / "tokenizers/mistral/tokenizer.model.v1"), ["tokenizers/mistral/tokenizer.model.v1"]),
    ("test_model", from_unigram_model(UNIGRAM), ["tokenizers/sentencepiece/test_model.model"]),
]


def blocks(lines):
    return ["".join(lines[i : i + BLOCK]) for i in range(0, len(lines), BLOCK)]


def of_all_characters(change):
    """A digest of what `change` makes of each character of the planes in use between marks of other classes."""
    codes = [*range(0xD800), *range(0xE000, 0x30000), *range(0xE0000, 0xE0200)]
    return hashlib.sha256("".join([change("A\u0345" + chr(c) + "\u0327\u0334") for c in codes]).encode()).hexdigest()


def write_all():
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    trained("llama3", None, LLAMA3, True, llama3[0], [(content, True) for content in llama3])
    qwen2 = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<tool_call>", False), ("</tool_call>", False)]
    trained("qwen2", {"type": "NFC"}, QWEN2, False, None, qwen2)
    texts = [random_text(SEED, i) for i in range(COUNT)]
    entries = []
    for name, lines_of, files in TOKENIZERS:
        digests = [hashlib.sha256(block.encode()).hexdigest()[:8] for block in blocks(lines_of(texts))]
        peer = "sentencepiece" if name == "test_model" else "tokenizers"
        entries.append({"name": name, "peer": peer, "files": files, "digests": " ".join(digests)})
    versions = [f"{m.__name__} {m.__version__}" for m in (tokenizers, transformers, sentencepiece)]
    golden = {"made_with": ", ".join(versions), "seed": SEED, "count": COUNT, "block": BLOCK, "sources": SOURCES, "nfc": of_all_characters(tokenizers.normalizers.NFC().normalize_str), "lower": of_all_characters(tokenizers.normalizers.Lowercase().normalize_str), "unigram_unlike_tokenizers": unlike_tokenizers(UNIGRAM, texts), "tokenizers": entries}
    out = HERE / "tokenizer_random.json"
    out.write_text(json.dumps(golden, indent=1) + "\n")
    print(out.stat().st_size)


def show(name, block):
    texts = [random_text(SEED, i) for i in range(block * BLOCK, (block + 1) * BLOCK)]
    lines_of = next(lines_of for known, lines_of, _ in TOKENIZERS if known == name)
    sys.stdout.write("".join(lines_of(texts)))


if len(sys.argv) > 2:
    show(sys.argv[2], int(sys.argv[3]))
else:
    write_all()
