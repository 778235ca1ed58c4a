# What the comparisons with TRL share: a program run to its end, what it wrote, and a row of figures.
import json
import os
import subprocess
import sys
import time


def run(command, log):
    """Runs to the end; gives when it began and the most memory it had, in bytes."""
    begin = time.time()
    with open(log, "w") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed:\n{open(log).read()[-2000:]}")
    return begin, usage.ru_maxrss * 1024


def lines(path):
    return [json.loads(line) for line in open(path)]


def row(name, ours, theirs, form="{:.3g}", inverse=False):
    ratio = theirs / ours if inverse else ours / theirs
    print(f"{name:34s} {form.format(ours):>9s} {form.format(theirs):>9s} {ratio:8.2f}")
