#!/usr/bin/env python3
"""Pairs of a true and a false answer, out of TruthfulQA's labelled answers (Lin, Hilton and Evans 2021, arXiv 2109.07958).

Usage: truthfulqa_pairs.py finetune_truth.jsonl.gz FOLDER

Writes FOLDER/train.jsonl and FOLDER/eval.jsonl: lines of {prompt, chosen, rejected}, at most 20 a question, each answer as
rarely as possible; a fifth of the questions, with all their pairs, is held out. What is drawn follows from hashes of the
texts, so that the files are the same everywhere. An answer that was labelled both ways is left out.
"""
import collections
import gzip
import hashlib
import json
import pathlib
import re
import sys

PAIRS_A_QUESTION = 20
HELD_OUT = 0.2


def draw(*words):
    """A number that the words, and nothing else, decide."""
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()


def answers(path):
    """Question to {answer: whether it is true}."""
    labels = collections.defaultdict(lambda: collections.defaultdict(set))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            question, answer = re.fullmatch(r"Q: (.*)\nA: (.*)\nTrue:", record["prompt"], re.DOTALL).groups()
            labels[question.strip()][answer.strip()].add(record["completion"].strip() == "yes")
    return {question: {answer: seen.pop() for answer, seen in of.items() if len(seen) == 1 and answer}
            for question, of in labels.items()}


def pairs(question, labelled):
    """Pairs in a drawn order, those first whose answers were used least."""
    true = sorted((a for a, good in labelled.items() if good), key=lambda a: draw(question, a))
    false = sorted((a for a, good in labelled.items() if not good), key=lambda a: draw(question, a))
    left = sorted(((t, f) for t in true for f in false), key=lambda pair: draw(question, *pair))
    used = collections.Counter()
    made = []
    while left and len(made) < PAIRS_A_QUESTION:
        chosen, rejected = best = min(left, key=lambda pair: used["true", pair[0]] + used["false", pair[1]])
        left.remove(best)
        used["true", chosen] += 1
        used["false", rejected] += 1
        made.append({"prompt": f"Q: {question}\nA:", "chosen": f" {chosen}", "rejected": f" {rejected}"})
    return made


def main(path, folder):
    questions = {question: made for question, labelled in answers(path).items() if (made := pairs(question, labelled))}
    order = sorted(questions, key=draw)
    count = round(HELD_OUT * len(order))
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for name, part in (("eval", order[:count]), ("train", order[count:])):
        lines = [json.dumps(pair, ensure_ascii=False) + "\n" for question in part for pair in questions[question]]
        pathlib.Path(folder, f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{name}: {len(lines)} pairs of {len(part)} questions", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:  # no file, or of other content
        sys.exit(f"truthfulqa_pairs.py: {sys.argv[1]}: {type(error).__name__}: {error}; finetune_truth.jsonl.gz of TruthfulQA is wanted")
