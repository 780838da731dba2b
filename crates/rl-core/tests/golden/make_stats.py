"""Random samples and what SciPy and statsmodels make of them.

Run with numpy 2.4.6, scipy 1.17.1 and statsmodels 0.15.0:  python make_stats.py
Writes stats.json: for each function a list of cases, arguments and results together. What the
libraries lack (Cohen's d and d_z, Bonett and Wright's interval, pass@k) is written out here.
"""
import itertools, json, math, pathlib
import numpy, scipy, statsmodels
import numpy as np
import statsmodels.api as sm
from scipy import stats
from scipy.special import gamma
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

RNG = np.random.default_rng(20250)
LEVELS = [0.8, 0.95, 0.99]


def estimate(value, interval, std_error):
    return {"value": float(value), "interval": [float(x) for x in interval],
            "std_error": float(std_error)}


def test(statistic, p_value):
    return {"statistic": float(statistic), "p_value": float(p_value)}


def sample(n, scale=3.0):
    return RNG.normal(1.5, scale, n)


def means():
    for n, level in itertools.product([2, 3, 10, 200], LEVELS):
        x = sample(n)
        se = stats.sem(x)
        yield {"values": x.tolist(), "confidence": level,
               **estimate(x.mean(), stats.t.interval(level, n - 1, x.mean(), se), se)}


def cluster_means():
    for n, groups, level in itertools.product([12, 90], [2, 5, 12], LEVELS):
        clusters = np.concatenate([np.arange(groups), RNG.integers(0, groups, n - groups)])
        x = sample(n) + RNG.normal(0, 2, groups)[clusters]
        fit = sm.OLS(x, np.ones(n)).fit(cov_type="cluster", use_t=True, cov_kwds={"groups": clusters})
        yield {"values": x.tolist(), "clusters": clusters.tolist(), "confidence": level,
               **estimate(fit.params[0], fit.conf_int(1 - level)[0], fit.bse[0])}


def bootstraps():
    for n, level in itertools.product([8, 40], LEVELS):
        x = RNG.lognormal(0, 1, n)
        replicates = RNG.choice(x, (300, n)).mean(axis=1)
        given = type("Given", (), {"bootstrap_distribution": replicates})()
        result = {
            method: stats.bootstrap((x,), np.mean, n_resamples=0, confidence_level=level,
                                    method=method, bootstrap_result=given)
            for method in ["percentile", "bca"]}
        yield {"sample": x.tolist(), "replicates": replicates.tolist(), "confidence": level,
               "std_error": float(result["bca"].standard_error),
               **{m: [float(e) for e in r.confidence_interval] for m, r in result.items()}}


def proportions():
    for (s, n), level in itertools.product([(0, 1), (1, 1), (0, 12), (7, 12), (300, 1000)], LEVELS):
        p = s / n
        yield {"successes": s, "trials": n, "confidence": level,
               **estimate(p, proportion_confint(s, n, 1 - level, "wilson"), math.sqrt(p * (1 - p) / n))}


def differences_of_proportions():
    counts = [((56, 70), (48, 80)), ((9, 10), (3, 10)), ((10, 10), (0, 20)), ((5, 56), (0, 29))]
    for (a, b), level in itertools.product(counts, LEVELS):
        p, q = a[0] / a[1], b[0] / b[1]
        interval = confint_proportions_2indep(*a, *b, method="newcomb", compare="diff", alpha=1 - level)
        yield {"a": a, "b": b, "confidence": level,
               **estimate(p - q, interval, math.sqrt(p * (1 - p) / a[1] + q * (1 - q) / b[1]))}


def mcnemars():
    for n, shift in itertools.product([5, 40, 400], [0.0, 0.1, 0.3]):
        a, b = RNG.random(n) < 0.5 + shift, RNG.random(n) < 0.5
        table = [[int(np.sum((a == i) & (b == j))) for j in (True, False)] for i in (True, False)]
        result = mcnemar(table, exact=True)
        yield {"a": a.tolist(), "b": b.tolist(), **test(result.statistic, result.pvalue)}


def paired(n, shift, rounded):
    a, b = sample(n), sample(n) - shift
    return (np.round(a), np.round(b)) if rounded else (a, b)


def paired_ts():
    for n, shift in itertools.product([2, 6, 30, 300], [0.0, 1.0, 6.0]):
        a, b = paired(n, shift, False)
        result = stats.ttest_rel(a, b)
        yield {"a": a.tolist(), "b": b.tolist(), **test(result.statistic, result.pvalue)}


def wilcoxons():
    for n, shift, rounded in itertools.product([6, 30, 50, 51, 120], [0.0, 1.0], [False, True]):
        a, b = paired(n, shift, rounded)
        d = (a - b)[a != b]
        exact = len(d) <= 50 and len(np.unique(np.abs(d))) == len(d)
        result = stats.wilcoxon(d, method="exact" if exact else "asymptotic")
        yield {"a": a.tolist(), "b": b.tolist(), **test(result.statistic, result.pvalue)}


def permutations():
    for n, shift, rounded in itertools.product([3, 8, 13], [0.0, 2.0], [False, True]):
        a, b = paired(n, shift, rounded)
        result = stats.permutation_test((a, b), lambda x, y, axis: np.mean(x - y, axis=axis),
                                        permutation_type="samples", vectorized=True,
                                        n_resamples=np.inf)
        yield {"a": a.tolist(), "b": b.tolist(), **test(result.statistic, result.pvalue)}


def cohen_ds():
    for (n, m), level in itertools.product([(2, 2), (5, 9), (60, 41)], LEVELS):
        a, b = sample(n), sample(m) - 2
        pooled = math.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2))
        d = (a.mean() - b.mean()) / pooled
        # The t statistic is an independent way to the same number.
        assert math.isclose(d, stats.ttest_ind(a, b).statistic * math.sqrt(1 / n + 1 / m))
        se = math.sqrt((n + m) / (n * m) + d * d / (2 * (n + m)))
        k = n + m - 2
        j = gamma(k / 2) / (math.sqrt(k / 2) * gamma((k - 1) / 2))
        interval = np.array(stats.norm.interval(level, d, se))
        yield {"a": a.tolist(), "b": b.tolist(), "confidence": level,
               "d": estimate(d, interval, se), "g": estimate(j * d, j * interval, j * se)}


def cohen_dzs():
    for n, level in itertools.product([2, 7, 60], LEVELS):
        a, b = paired(n, 1.0, False)
        d = stats.ttest_rel(a, b).statistic / math.sqrt(n)
        se = math.sqrt(1 / n + d * d / (2 * n))
        yield {"a": a.tolist(), "b": b.tolist(), "confidence": level,
               **estimate(d, stats.norm.interval(level, d, se), se)}


def correlations():
    for n, slope, level in itertools.product([4, 15, 200], [0.0, -2.0], LEVELS):
        x = np.round(sample(n), 0 if n == 15 else 9)
        y = slope * x + sample(n)
        r = stats.pearsonr(x, y)
        rho = stats.spearmanr(x, y).statistic
        sigma = math.sqrt((1 + rho**2 / 2) / (n - 3))
        # Four pairs can be in perfect order.
        center = math.atanh(rho) if abs(rho) < 1 - 1e-12 else math.copysign(math.inf, rho)
        reach = stats.norm.ppf((1 + level) / 2) * sigma
        yield {"x": x.tolist(), "y": y.tolist(), "confidence": level,
               "pearson": estimate(r.statistic, r.confidence_interval(level),
                                   (1 - r.statistic**2) / math.sqrt(n - 3)),
               "spearman": estimate(rho, np.tanh([center - reach, center + reach]),
                                    (1 - rho**2) * sigma)}


def holms():
    for m in [1, 2, 9, 40]:
        p = RNG.random(m) ** 3
        if m == 9:
            p[3] = p[5]
        yield {"p_values": p.tolist(), "corrected": multipletests(p, method="holm")[1].tolist()}


def passes():
    for n, k in itertools.product([1, 5, 20, 200], [1, 3, 20, 100]):
        if k <= n:
            for c in sorted({0, 1, n // 3, n - k, n - k + 1, n}):
                yield {"samples": n, "correct": c, "k": k,
                       "value": 1 - math.comb(n - c, k) / math.comb(n, k)}


def main():
    out = {"versions": {lib.__name__: lib.__version__ for lib in (numpy, scipy, statsmodels)}}
    for name, cases in {
        "mean": means, "cluster_mean": cluster_means, "bootstrap": bootstraps, "wilson": proportions,
        "newcombe": differences_of_proportions, "mcnemar": mcnemars, "paired_t": paired_ts,
        "wilcoxon": wilcoxons, "permutation": permutations, "cohen_d": cohen_ds,
        "cohen_dz": cohen_dzs, "correlation": correlations, "holm": holms, "pass_at_k": passes,
    }.items():
        out[name] = list(cases())
    lines = [f"{json.dumps(name)}: " + (json.dumps(cases) if isinstance(cases, dict) else
             "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")
             for name, cases in out.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    json.loads(text, parse_constant=lambda name: 1 / 0)  # no NaN, no infinity
    (pathlib.Path(__file__).parent / "stats.json").write_text(text)


main()
