"""The market of insurance portfolio pursuit in plain NumPy: whole arrays of customers at a time.

Reads cases from standard input, one JSON object a line ({"customers": N, "batch": B, "seed": S}), and answers each with one line.
The one-at-a-time form of the published simulator is slower by orders of magnitude; this is what a NumPy user would write.
"""

import json
import sys
import time

import numpy as np

FIRMS = 6


def upper_quantile(p):
    """max(x, 0.3) with P(Beta(3, 9) <= x) = p, by Newton steps on the tail polynomial in 1 - x."""
    tail = 1 - p
    y = np.full_like(p, 0.7)
    inside = (tail < 0.7**9 * (1 + 9 * 0.3 + 45 * 0.3**2)) & (tail > 0)
    for _ in range(40):
        x = 1 - y
        step = (y**9 * (1 + 9 * x + 45 * x * x) - tail) / (495 * y**8 * x * x)
        y = np.where(inside, y - step, y)
    return np.where(tail <= 0, 1.0, 1 - y)


def market(n, rng):
    """Customers, costs and choices of one batch; the winner of each, FIRMS for none."""
    age = np.floor(16 + 84 * rng.beta(1.4, 2.5, n))
    loc = rng.integers(0, 4, n)
    occ = rng.binomial(4, 0.2 * (1 + loc))
    percentile = np.minimum(1.1 * rng.beta(2 + 2 * occ, 10 - 2 * occ), 1)
    base = np.maximum(40_000 - 25 * (age - 45) ** 2, 20_000)
    salary = np.floor(3 * base * upper_quantile(percentile) / 1000) * 1000
    married = rng.random(n) < 0.7 * (110 - age) * (age - 16) / 47**2
    parent = np.where(age > 66, 0, (age - 16) ** 2 * (age - 66) ** 2 / 25**4) * np.where(married, 0.8, 0.2)
    children = rng.binomial(4, 1 - ((1 - parent) / 4) ** 0.25)
    partner = np.floor(np.maximum(salary * rng.laplace(1, 1 / 3, n), 0) / 1000) * 1000
    income = (salary + partner * married) / (1 + married + children)
    years = np.floor((age - 16) * rng.beta(3, 100 / age - 1)) + 1
    risk = rng.beta(1 + loc, 5 - loc)
    claims = rng.binomial(years.astype(np.int64), 0.07 * risk)
    perception = claims / (0.14 * years) + risk / 2
    car = (0.2 + rng.gamma(4, 1 / 8, n)) * salary / (1 + children / (1 + married))
    premium = np.minimum((0.5 + risk) * car / 10, 6000)

    beta = 1000 / income
    walk = np.maximum(1.1 * premium - np.log(1 / 0.1 - FIRMS) / beta, 0)
    walk = np.maximum(walk * (1.25 - 0.5 * percentile) * (1.25 - 0.5 * perception), 0)
    costs = premium[:, None] * rng.gamma(1000, 1 / 1000, (n, FIRMS))
    offers = costs * rng.uniform(1, 1.2, (n, FIRMS))
    loyal = rng.integers(0, FIRMS, n)
    offers[np.arange(n), loyal] -= rng.exponential(0.05 * (walk + 20))
    utilities = -beta[:, None] * np.concatenate([offers, walk[:, None]], axis=1)
    weights = np.exp(utilities - utilities.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (weights < rng.random((n, 1)) * weights[:, -1:]).sum(axis=1)


def main():
    for line in sys.stdin:
        case = json.loads(line)
        rng = np.random.default_rng(case["seed"])
        done, walked = 0, 0
        begin = time.perf_counter()
        while done < case["customers"]:
            n = min(case["batch"], case["customers"] - done)
            walked += int((market(n, rng) == FIRMS).sum())
            done += n
        seconds = time.perf_counter() - begin
        answer = {"seconds": seconds, "walked": walked / done, "library": f"numpy {np.__version__}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
