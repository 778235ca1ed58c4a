#!/usr/bin/env python3
# Plots of a run's report.html side by side, as one SVG.
#   scripts/curves.py out/hh/report.html margins accuracies kl > docs/hh.svg
import re
import sys

STYLE = ('svg{font-family:system-ui,"DejaVu Sans",sans-serif}text{font-size:11px;fill:#5b6675}'
         "text.title{font-size:12.5px;font-weight:600;fill:#1c2430}line.grid{stroke:#d8dee6}rect.card{fill:#f6f8fa}")
if len(sys.argv) < 3:
    sys.exit("curves.py: want a report.html and the titles of plots")
page, titles = open(sys.argv[1], encoding="utf-8").read(), sys.argv[2:]
plots = {title: body for title, body in re.findall(r'<svg[^>]*aria-label="([^"]*)"[^>]*>(.*?)</svg>', page, re.S)}
missing = [title for title in titles if title not in plots]
if missing:
    sys.exit(f"curves.py: {sys.argv[1]} has no plot {missing[0]}; it has {', '.join(plots)}")
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {450 * len(titles) - 10} 250" role="img" '
      f'aria-label="{", ".join(titles)}"><style>{STYLE}</style>')
for i, title in enumerate(titles):
    print(f'<g transform="translate({450 * i},0)"><rect class="card" width="440" height="250" rx="6"/>{plots[title]}</g>')
print("</svg>")
