"""A whole trial of the published portfolio-pursuit protocol in plain Python, customers one at a time.

Reads cases from standard input, one JSON object a line, and answers each with one line.
Written from the protocol's description alone, as a straightforward user of scikit-learn and SciPy would: no other simulator was looked at.

The same on both sides of the comparison:

- the market: every distribution, six firms with noisy costs, choice by softmax with loyalty and walking away;
- the models of each firm and their sizes: a random forest for rivals' cheapest prices, a rectified network of the same layers, step size, batch, decay and stopping rule for the probability of a sale, a Gaussian process (constant times Matern 3/2, normalized target) for the offer, fitted to where a bounded search finds the maximum;
- the course: as many burn-in epochs after which all six firms are fitted again, on as many of the newest epochs; offers at random until there are models, exploration by six factors in the burn-in, of rivals always and of no arm in the test; five categories and a target drawn as published; linear backward induction with the right sign at the end; as many test epochs in which the industry's multiplier and the linear pursuit each meet the same customers and the same offers of rivals, which are asked once;
- one thread.

Not the same, since it is how the work is done and not what is done:

- here the forest, the network and the process are scikit-learn's and the process's restarts are the published ones; the other side has its own of each, and finds the one length of the process by a search over all of its range (the time of this side's process fits is told apart);
- here planning asks the models about each customer that it draws, all those of one step at once; the other side asks them once for each customer and each of a row of k beforehand;
- the generators of random numbers, hence every number drawn.

Neither trains the published final network.
"""

import json
import os
import sys
import time
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import sklearn
from scipy.optimize import minimize_scalar
from scipy.special import betaincinv
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

FIRMS = 6
FACTORS = (0.93, 0.95, 0.97, 1.03, 1.05, 1.07)
LOW, HIGH = 1.0, 2.0


class Customer:
    """One visitor: what firms see of it, what it costs, and how it chooses."""

    def __init__(self, rng):
        age = int(16 + 84 * rng.beta(1.4, 2.5))
        location = int(rng.integers(0, 4))
        occupation = int(rng.binomial(4, 0.2 * (1 + location)))
        percentile = min(1.1 * rng.beta(2 + 2 * occupation, 10 - 2 * occupation), 1.0)
        base = max(40_000 - 25 * (age - 45) ** 2, 20_000)
        salary = int(3 * base * max(betaincinv(3, 9, percentile), 0.3) / 1000) * 1000
        married = rng.random() < 0.7 * (110 - age) * (age - 16) / 47**2
        parent = 0.0 if age > 66 else (age - 16) ** 2 * (age - 66) ** 2 / 25**4
        parent *= 0.8 if married else 0.2
        children = int(rng.binomial(4, 1 - ((1 - parent) / 4) ** 0.25))
        partner = int(max(salary * rng.laplace(1, 1 / 3), 0) / 1000) * 1000 if married else 0
        income = (salary + partner) / (1 + married + children)
        years = int((age - 16) * rng.beta(3, 100 / age - 1)) + 1
        risk = rng.beta(1 + location, 5 - location)
        claims = int(rng.binomial(years, 0.07 * risk))
        perception = claims / (0.14 * years) + risk / 2
        car_value = (0.2 + rng.gamma(4, 1 / 8)) * salary / (1 + children / (1 + married))
        self.premium = min((0.5 + risk) * car_value / 10, 6000)
        row = [car_value, claims, years, age, float(married), float(children > 0)]
        row += [float(occupation == i) for i in range(5)] + [float(location == i) for i in range(4)]
        self.row = np.array(row)
        self.sensitivity = 1000 / income
        walk = max(0.0, 1.1 * self.premium - np.log(1 / 0.1 - FIRMS) / self.sensitivity)
        self.walk = max(walk * (1.25 - 0.5 * percentile) * (1.25 - 0.5 * perception), 0.0)
        self.loyal = int(rng.integers(0, FIRMS))
        self.loyalty = rng.exponential(0.05 * (self.walk + 20))
        self.uniform = rng.random()
        self.costs = [self.premium * rng.gamma(1000, 1 / 1000) for _ in range(FIRMS)]

    def choose(self, offers):
        """The firm whose offer is taken, or None."""
        felt = [*offers, self.walk]
        felt[self.loyal] -= self.loyalty
        cheapest = min(felt)
        weights = np.exp([-self.sensitivity * (price - cheapest) for price in felt])
        left = self.uniform * weights.sum()
        for firm in range(FIRMS):
            left -= weights[firm]
            if left < 0:
                return firm
        return None


class Models:
    """What one firm has learned: forest, network and process."""

    def __init__(self, history, size, seed, clock):
        rng = np.random.default_rng(seed)
        rows, costs, offers, tops, won = (np.array(column) for column in zip(*history))
        self.forest = RandomForestRegressor(n_estimators=size["trees"], random_state=seed)
        self.forest.fit(rows, tops)
        inputs = np.column_stack([tops, offers])
        self.scale = StandardScaler().fit(inputs)
        self.network = MLPClassifier(
            hidden_layer_sizes=size["hidden"],
            learning_rate_init=size["learning_rate"],
            alpha=size["weight_decay"],
            batch_size=min(size["batch"], len(won)),
            max_iter=size["passes"],
            n_iter_no_change=size["patience"],
            tol=size["tolerance"],
            random_state=seed,
        )
        self.network.fit(self.scale.transform(inputs), won)
        chosen = rng.choice(len(won), min(size["process_rows"], len(won)), replace=False)
        ks = rng.laplace(1, 0.1, len(chosen))
        targets = [self.search(tops[i], k) for i, k in zip(chosen, ks)]
        begin = time.perf_counter()
        points = np.column_stack([tops[chosen], ks])
        self.points = StandardScaler().fit(points)
        self.process = GaussianProcessRegressor(
            ConstantKernel() * Matern(nu=1.5),
            normalize_y=True,
            n_restarts_optimizer=size["restarts"],
            random_state=seed,
        )
        self.process.fit(self.points.transform(points), targets)
        clock["process"] += time.perf_counter() - begin

    def search(self, top, k):
        """Where p(a)(a - k) is largest; 1.1 where nothing is gained."""
        found = minimize_scalar(
            lambda a: -self.probability(np.array([[*top, a]]))[0] * (a - k), bounds=(LOW, HIGH), method="bounded"
        )
        return found.x if found.fun < 0 else 1.1

    def probability(self, inputs):
        return self.network.predict_proba(self.scale.transform(inputs))[:, 1]

    def offers(self, inputs):
        return np.clip(self.process.predict(self.points.transform(inputs)), LOW, HIGH)

    def quote(self, row, k):
        top = self.forest.predict(row[None])[0]
        return self.offers(np.array([[*top, k]]))[0]


class Trial:
    """Burn-in, target, plan and test."""

    def __init__(self, case):
        self.case = case
        self.rng = np.random.default_rng(case["seed"])
        self.customers = case["customers"]
        self.histories = [[] for _ in range(FIRMS)]
        self.models = None
        self.clock = {"burn_in": 0.0, "planning": 0.0, "test": 0.0, "process": 0.0}
        self.categories = draw_categories(self.rng)

    def explore(self, offer):
        place = int(self.rng.random() / 0.02)
        return offer * FACTORS[place] if place < len(FACTORS) else offer

    def burn_in(self):
        """Firms learn from each other; returns firm 0's mean portfolio and the first epoch's sales."""
        average = np.zeros(5)
        sold = 0
        for epoch in range(self.case["burn_in"]):
            for _ in range(self.customers):
                customer = Customer(self.rng)
                ratios = []
                for firm in range(FIRMS):
                    if self.models is None:
                        ratios.append(self.rng.uniform(1, 1.2))
                    else:
                        offer = self.explore(self.models[firm].quote(customer.row, 1.0))
                        ratios.append(min(max(offer, LOW), HIGH))
                offers = [ratio * cost for ratio, cost in zip(ratios, customer.costs)]
                winner = customer.choose(offers)
                for firm in range(FIRMS):
                    cost = customer.costs[firm]
                    rivals = sorted(offers[i] / cost for i in range(FIRMS) if i != firm)
                    top = (rivals[0], sum(rivals[:3]) / 3, sum(rivals) / 5)
                    self.histories[firm].append((customer.row, cost, ratios[firm], top, int(winner == firm)))
                if winner == 0:
                    average += self.members(customer.row) / self.case["burn_in"]
                sold += epoch == 0 and winner is not None
            rows = self.case["memory"] * self.customers
            self.models = [
                Models(history[-rows:], self.case, FIRMS * epoch + firm, self.clock)
                for firm, history in enumerate(self.histories)
            ]
        return average, sold

    def members(self, row):
        return np.array([float(low <= row[column] <= high) for column, low, high in self.categories])

    def plan(self, average, target):
        """Weights of the linear value after each customer, t from T down to 1; None at T."""
        horizon, count, d = self.customers, self.case["portfolios"], len(target)
        rows = self.histories[0][-self.case["memory"] * self.customers :]
        members = np.array([self.members(row[0]) for row in rows])
        costs = np.array([row[1] for row in rows])
        tops = np.array([row[3] for row in rows])
        weights = [None] * (horizon + 1)
        later = None
        for t in range(horizon - 1, 0, -1):
            portfolios = self.portfolios(average, target, t, count)
            n = self.case["planning_customers"]
            drawn = self.rng.integers(0, len(rows), (len(portfolios), n))
            if later is None:
                gain = np.array([self.relief(p, target) for p in portfolios])
                worth = (members[drawn] * gain[:, None, :]).sum(-1)
                after = np.array([-self.loss(p, target) for p in portfolios])
            else:
                worth = members[drawn] @ later[1:]
                after = later[0] + portfolios @ later[1:]
            ks = 1 - worth / costs[drawn]
            inputs = np.column_stack([tops[drawn].reshape(-1, 3), ks.ravel()])
            offers = self.models[0].offers(inputs)
            inputs[:, 3] = offers
            p = self.models[0].probability(inputs).reshape(drawn.shape)
            gained = (costs[drawn] * p * (offers.reshape(drawn.shape) - ks)).mean(axis=1)
            design = np.column_stack([np.ones(len(portfolios)), portfolios])
            later = np.linalg.lstsq(design, after + gained, rcond=None)[0]
            weights[t] = later[1:]
        assert d == len(weights[1])
        return weights

    def portfolios(self, average, target, t, count):
        """Portfolios at which a step is fitted, as published."""
        d, horizon = len(target), self.customers
        if (t + 1) ** d < count:
            grid = np.indices([t + 1] * d).reshape(d, -1).T
            return grid.astype(float)
        third, out = count // 3, []
        for j in range(third):
            u = j / (count / 2 - 1)
            low = 0.1 * np.minimum(average, target) / horizon
            high = 1.9 * np.maximum(average, target) / horizon
            mean = t * (u * low + (1 - u) * high)
            out.append(np.minimum(np.floor(mean) + (self.rng.random(d) < mean % 1), t))
        for j in range(third, count):
            around = average if j - third < (count - third) // 2 else target
            out.append(self.rng.binomial(t, np.clip((around + 1) / horizon, 0, 1)).astype(float))
        return np.unique(np.array(out), axis=0)

    def loss(self, portfolio, target):
        d = len(target)
        return 2000 * np.sum(np.abs(portfolio - target) / (np.maximum(portfolio, target) + 1e-7)) / d

    def relief(self, portfolio, target):
        """How much one more of each category lowers the loss."""
        d = len(target)
        part = lambda n: 2000 * np.abs(n - target) / (np.maximum(n, target) + 1e-7) / d
        return part(portfolio) - part(portfolio + 1)

    def test(self, average, target, weights):
        """Rewards of both arms, each epoch from an empty portfolio."""
        factors = 1 + 0.02 * (average - target) / (average + target + 1e-6)
        rewards = {"multiplier": [], "linear": []}
        for _ in range(self.case["test_epochs"]):
            customers = [Customer(self.rng) for _ in range(self.customers)]
            rivals = []
            for customer in customers:
                ratios = [self.explore(self.models[f].quote(customer.row, 1.0)) for f in range(1, FIRMS)]
                rivals.append([min(max(ratio, LOW), HIGH) * cost for ratio, cost in zip(ratios, customer.costs[1:])])
            for arm, outcomes in rewards.items():
                portfolio, profit = np.zeros(len(target)), 0.0
                for time_, (customer, others) in enumerate(zip(customers, rivals)):
                    members = self.members(customer.row)
                    cost = customer.costs[0]
                    if arm == "multiplier":
                        ratio = self.models[0].quote(customer.row, 1.0) * np.prod(np.where(members > 0, factors, 1))
                    else:
                        after = weights[time_ + 1]
                        gain = self.relief(portfolio, target) if after is None else after
                        ratio = self.models[0].quote(customer.row, 1 - members @ gain / cost)
                    offer = min(max(ratio, LOW), HIGH) * cost
                    if customer.choose([offer, *others]) == 0:
                        portfolio += members
                        profit += offer - cost
                outcomes.append(profit - self.loss(portfolio, target))
        return rewards

    def run(self):
        begin = time.perf_counter()
        average, sold = self.burn_in()
        self.clock["burn_in"] = time.perf_counter() - begin
        target = draw_target(average, self.rng)
        begin = time.perf_counter()
        weights = self.plan(average, target)
        self.clock["planning"] = time.perf_counter() - begin
        begin = time.perf_counter()
        rewards = self.test(average, target, weights)
        self.clock["test"] = time.perf_counter() - begin
        means = {f"{arm}_reward": float(np.mean(values)) for arm, values in rewards.items()}
        return {**self.clock, **means, "sold": int(sold), "library": f"scikit-learn {sklearn.__version__}"}


def draw_categories(rng):
    """Five of the fifteen columns, each with the values that count."""
    out = []
    for column in rng.choice(15, 5, replace=False):
        if column == 0:
            ends = np.floor((np.sort(rng.exponential(10_000, 2)) + 3000) / 100) * 100
        elif column == 1:
            ends = np.sort(rng.poisson(1.4, 2))
        elif column == 2:
            start = rng.integers(0, 41)
            ends = start, start + rng.integers(10, 31)
        elif column == 3:
            start = rng.integers(16, 81)
            ends = start, start + rng.integers(5, 21)
        else:
            ends = (value := rng.integers(0, 2)), value
        out.append((int(column), float(ends[0]), float(ends[1])))
    return out


def draw_target(average, rng):
    """Twice the average, or half of it where it is large, with equal chance."""
    double = np.floor(2 * average) + 1
    half = np.ceil(average / 2)
    return np.where((average <= 10) | (rng.random(len(average)) < 0.5), double, half)


def main():
    warnings.filterwarnings("ignore", module="sklearn")
    for line in sys.stdin:
        print(json.dumps(Trial(json.loads(line)).run()), flush=True)


if __name__ == "__main__":
    main()
