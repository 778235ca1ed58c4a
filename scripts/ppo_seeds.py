#!/usr/bin/env python3
"""The quick start's PPO with several seeds, and a verdict on each: does the held-out reward rise, does the language hold?

Usage: ppo_seeds.py [seeds=1,2,3,4] [quickstart=out/quickstart] [output=out/ppo_seeds] [key.path=value ...]

Other arguments go to the program ppo, such as threads=2. Needs build/release/bin/ppo (or that of the build folder
PREFER_BUILD). Prints a Markdown table; exits with 1 when a seed fails. A seed that is finished is not run again, one that was
cut off goes on from its last checkpoint; what another program or other arguments left is refused.

Model, openings, lexicon and settings are those of the quick start that scripts/quickstart.sh left in the folder `quickstart`:
as it comes, the first 112 openings are trained on, the last 32 are answered 4 times each before and after. A seed passes when
- the reward rises: the 95 % intervals before and after do not touch, and
- nothing collapses: the negative log-probability a token that the reference gives the answers is up by 1 nat at most.
"""
import hashlib
import json
import math
import os
import pathlib
import re
import subprocess
import sys

NLL_RISE = 1.0
NUMBER = r"(-?[0-9.]+(?:e[-+]?[0-9]+)?)"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"


def prompts(folder, settings):
    """The openings, those to train on and those to measure on, as the program reads them."""
    # Bytes: as text, a lone CR would be read as a line's end, and a byte order mark as a letter.
    lines = pathlib.Path(settings["openings"]).read_bytes().decode("utf-8-sig").split("\n")
    openings, held_out = [line.removesuffix("\r") for line in lines if line.strip(" \t\r")], settings["held_out"]
    for name, part in (("train", openings[:-held_out]), ("eval", openings[-held_out:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"prompt": opening}) + "\n" for opening in part))


def arguments_of(quickstart, folder, settings):
    """The quick start's own PPO, with its held-out openings and the lexicon as the program reads it."""
    return [f"{quickstart}/ppo/config.json", f"lexicon={settings['lexicon']}", f"train={folder}/train.jsonl",
            f"eval={folder}/eval.jsonl", f"eval_samples={settings['held_out_samples']}"]


def figure(log, name):
    """What the program said last of a figure: (mean, low, high) before and after."""
    found = re.findall(rf"{name}: {INTERVAL}, before: {INTERVAL}", log)
    if not found:
        sys.exit(f"ppo_seeds: the program did not say its {name!r}")
    numbers = [float(number) for number in found[-1]]
    return numbers[3:], numbers[:3]


def run(seed, folder, common, more):
    """The figures of a seed: as the same program with the same arguments left them, or made now."""
    result = folder / f"{seed}.json"
    program = os.path.join(os.environ.get("PREFER_BUILD", "build/release"), "bin/ppo")
    command = [program, *common, f"output={folder}/{seed}", f"seed={seed}", "resume=true", *more]
    identity = {"command": command, "program": hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()}
    begun = folder / f"{seed}.identity.json"
    if ((folder / str(seed)).exists() or result.exists()) and not (begun.exists() and json.loads(begun.read_text()) == identity):
        sys.exit(f"ppo_seeds: {folder}/{seed} is of another program or of other arguments; give another output=FOLDER, or remove "
                 f"all that is called {folder}/{seed}*")
    begun.write_text(json.dumps(identity) + "\n")
    if result.exists():
        return json.loads(result.read_text())
    log = folder / f"{seed}.log"
    print(f"ppo_seeds: seed {seed}; {log} tells how it goes", file=sys.stderr, flush=True)
    with open(log, "w") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    said = log.read_text(errors="replace")
    if code != 0:
        sys.exit(f"ppo_seeds: {' '.join(command)}\nended with {code}: {said.strip().splitlines()[-1:]}")
    reward = figure(said, "mean reward")
    nll = [[math.log(number) for number in part] for part in figure(said, "perplexity under the reference")]
    kl = figure(said, "KL from the reference, nats an answer")[1]
    made = {"reward": reward, "kl": kl, "nll": nll}
    result.write_text(json.dumps(made) + "\n")
    return made


def verdict(made):
    """What is wrong, or nothing."""
    (reward_before, reward_after), (nll_before, nll_after) = made["reward"], made["nll"]
    wrong = []
    if reward_after[1] <= reward_before[2]:
        wrong.append("does not rise")
    if reward_after[0] < reward_before[0]:
        wrong.append("collapses: reward below the start")
    if nll_after[0] - nll_before[0] > NLL_RISE:
        wrong.append(f"collapses: reference NLL up by {nll_after[0] - nll_before[0]:.2f}")
    return "; ".join(wrong)


def text(interval, digits=2):
    return f"{interval[0]:.{digits}f} ({interval[1]:.{digits}f} to {interval[2]:.{digits}f})"


def main(arguments):
    seeds, folder, quickstart, more = [1, 2, 3, 4], pathlib.Path("out/ppo_seeds"), pathlib.Path("out/quickstart"), []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "seeds":
            seeds = [int(seed) for seed in value.split(",")]
        elif key == "output":
            folder = pathlib.Path(value).absolute()
        elif key == "quickstart":
            quickstart = pathlib.Path(value).absolute()
        elif value:
            more.append(argument)
        else:
            sys.exit(f"ppo_seeds: {argument} is not key=value")
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    os.environ.setdefault("GOMP_SPINCOUNT", "100")
    if not (quickstart / "ppo/config.json").exists():
        sys.exit(f"ppo_seeds: {quickstart} holds no quick start; scripts/quickstart.sh makes one")
    settings = json.loads((quickstart / "quickstart.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    prompts(folder, settings)
    common = arguments_of(quickstart, folder, settings)
    print("| seed | held-out reward before | after | KL from the start, nats an answer | reference NLL a token before | after "
          "| verdict |")
    print("|---|---|---|---|---|---|---|")
    failed = False
    for seed in seeds:
        made = run(seed, folder, common, more)
        wrong = verdict(made)
        failed = failed or bool(wrong)
        print(f"| {seed} | {text(made['reward'][0])} | {text(made['reward'][1])} | {text(made['kl'], 1)} "
              f"| {text(made['nll'][0])} | {text(made['nll'][1])} | {wrong or 'rises, holds'} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
