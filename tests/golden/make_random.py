# Makes random.json: the layout of keyed draws and the rounds of the record permutation, stated a second time in plain
# Python 3 (no packages). The file is pinned: a change of its numbers breaks resuming every earlier run.
import json
import pathlib

M32 = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & M32, (a >> 32) ^ c[3] ^ k[1], a & M32]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


def halves(x):
    return [x & M32, x >> 32]


def draw(seed, step, record, sample, site, position):
    subkey = philox(halves(step) + halves(record), halves(seed))[:2]
    return philox(halves(position) + [sample, site], subkey)


def permutation(seed, epoch, n):
    half = ((n - 1).bit_length() + 1) // 2
    mask = (1 << half) - 1

    def once(i):
        left, right = i >> half, i & mask
        for round_ in range(8):
            left, right = right, left ^ (draw(seed, epoch, 0, round_, 1, right)[0] & mask)
        return left << half | right

    def at(i):
        if n == 1:
            return 0
        i = once(i)
        while i >= n:
            i = once(i)
        return i

    return at


# The published known answers of Philox4x32-10 (Random123's kat_vectors).
assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([M32] * 4, [M32] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]

KEYS = [
    (0, 0, 0, 0, 0, 0),
    (1, 2, 3, 4, 5, 6),
    (42, 1000, 7, 1, 2, 511),
    (2**63 - 1, 2**40 + 3, 2**33 + 1, 2**32 - 1, 2**32 - 1, 2**62 + 5),
]
PERMUTATIONS = [(0, 0, 1), (7, 0, 2), (7, 1, 5), (42, 3, 16), (42, 3, 17), (2**40 + 9, 2**33, 33)]
LARGE = [(42, 0, 2354), (42, 5, 10**9), (1, 0, 2**62 + 11)]

if __name__ == "__main__":
    golden = {
        "draws": [{"key": key, "bits": draw(*key)} for key in KEYS],
        "permutations": [
            {"seed": s, "epoch": e, "n": n, "order": [permutation(s, e, n)(i) for i in range(n)]}
            for s, e, n in PERMUTATIONS
        ],
        "large": [
            {"seed": s, "epoch": e, "n": n, "first": [permutation(s, e, n)(i) for i in range(8)]} for s, e, n in LARGE
        ],
    }
    text = json.dumps(golden, indent=1)
    pathlib.Path(__file__).with_name("random.json").write_text(text + "\n")
