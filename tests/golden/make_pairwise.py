#!/usr/bin/env python3
"""Makes pairwise.json: length-controlled accuracies of random pairs by statsmodels' logistic regression.

Usage: make_pairwise.py. Needs numpy and statsmodels; versions are written into the file. Every pair is turned so
that the score's pick comes first, y says whether people chose it, and the regression has a constant (theta) and the
scaled difference of lengths (phi): the model of include/prefer/eval/pairwise.hpp, stated the other way round.
"""
import json

import numpy as np
import statsmodels
import statsmodels.api as sm

rng = np.random.default_rng(7)
cases = []
for n, quality, bias in [(60, 0.3, 0.0), (400, 1.0, 1.5), (400, -0.5, 2.0)]:
    length = rng.integers(-80, 120, n).astype(float)
    margin = quality * rng.normal(0.4, 1, n) + bias * length / 100 + 0.3 * rng.normal(size=n)
    margin = np.round(margin, 3)
    margin[margin == 0] = 0.001
    pick = np.sign(margin)  # 1: the score picks what people chose
    sigma = np.sqrt(np.mean(length**2))
    fit = sm.Logit((pick > 0).astype(float), sm.add_constant(np.tanh(pick * length / sigma))).fit(disp=0, tol=1e-12)
    theta, phi = fit.params
    cases.append({"margins": margin.tolist(), "length": length.tolist(), "accuracy": float(np.mean(pick > 0)),
                  "theta": theta, "controlled": 1 / (1 + np.exp(-theta)), "theta_error": fit.bse[0]})
json.dump({"made_with": {"statsmodels": statsmodels.__version__, "numpy": np.__version__}, "cases": cases},
          open("pairwise.json", "w"), indent=0)
for case in cases:
    print(case["accuracy"], case["controlled"], case["theta_error"])
