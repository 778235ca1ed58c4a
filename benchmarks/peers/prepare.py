# Makes what both sides of benchmarks/dpo.sh train on: the first pairs of an HH-RLHF file as messages, prompts that leave room
# for an answer, each pair within 512 tokens on both sides. Needs: pip install transformers
import gzip
import json
import sys

import transformers

source, model, target, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
tokenizer = transformers.AutoTokenizer.from_pretrained(model)


def messages(text):
    turns = []
    for part in text.split("\n\nHuman: ")[1:]:
        human, *answers = part.split("\n\nAssistant: ")
        if len(answers) != 1:
            return None
        turns += [{"role": "user", "content": human}, {"role": "assistant", "content": answers[0]}]
    return turns


def fits(turns):
    return len(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]) <= 512


kept = 0
with gzip.open(source, "rt", encoding="utf-8") as lines, open(target, "w") as out:
    for line in lines:
        record = json.loads(line)
        chosen, rejected = messages(record["chosen"]), messages(record["rejected"])
        if not chosen or not rejected or chosen[:-1] != rejected[:-1] or chosen == rejected:
            continue
        if not chosen[-1]["content"].strip() or not rejected[-1]["content"].strip():
            continue
        if not fits(chosen) or not fits(rejected):
            continue
        out.write(json.dumps({"prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]}) + "\n")
        kept += 1
        if kept == count:
            break
if kept < count:
    sys.exit(f"{source}: only {kept} pairs are fit, {count} were asked for")
