"""Random trajectories, groups, tokens and logits, and what TorchRL and PyTorch make of them, in f64.

    python make_math.py > math.json

Made with torch 2.11.0 and torchrl 0.14.1.
"""

import json

import torch
import torchrl
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential
from tensordict.nn import TensorDictModule
from torch import distributions
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.llm import MCAdvantage
from torchrl.objectives.value import functional

torch.set_default_dtype(torch.float64)
torch.manual_seed(2508)


def trajectories(batch, time, gamma, lam, ends):
    """Rows without padding; `ends` is the share of steps that end an episode, half of them cut off."""
    rewards, values, bootstrap = torch.randn(3, batch, time)
    fate = torch.rand(batch, time)
    terminated, truncated = fate < ends / 2, (fate >= ends / 2) & (fate < ends)
    # A row's last step is cut off unless it is terminated.
    truncated[:, -1] = ~terminated[:, -1]
    after = torch.cat([values[:, 1:], bootstrap[:, -1:]], 1)
    after = torch.where(truncated, bootstrap, after)
    column = lambda x: x.unsqueeze(-1)
    flags = [column(terminated | truncated), column(terminated)]
    advantages, _ = functional.generalized_advantage_estimate(
        gamma, lam, column(values), column(after), column(rewards), *flags
    )
    td_errors, _ = functional.generalized_advantage_estimate(
        gamma, 0.0, column(values), column(after), column(rewards), *flags
    )
    returns = functional.td_lambda_return_estimate(gamma, lam, column(after), column(rewards), *flags)
    discounted = functional.td_lambda_return_estimate(
        gamma, 1.0, column(after), column(rewards), *flags
    )
    return {
        "gamma": gamma, "lambda": lam,
        "rewards": rewards.tolist(), "values": values.tolist(), "bootstrap": bootstrap.tolist(),
        "terminated": terminated.tolist(), "truncated": truncated.tolist(),
        "advantages": advantages.squeeze(-1).tolist(),
        "td_errors": td_errors.squeeze(-1).tolist(),
        "lambda_returns": returns.squeeze(-1).tolist(),
        "discounted_returns": discounted.squeeze(-1).tolist(),
    }  # fmt: skip


def group(n, size, spread):
    """Rewards of whole groups; advantages have a floor of 1e-6 under the standard deviation."""
    rewards = spread * torch.randn(n // size, size)
    rewards[0] = rewards[0, 0]  # one group agrees
    advantages = []
    for index, row in enumerate(rewards):
        transform = MCAdvantage(grpo_size=size, prompt_key="prompt", trajectory_return="sum")
        for reward in row:
            out = transform.inv(
                TensorDict(
                    prompt=torch.full((1,), index),
                    next=TensorDict(
                        reward=reward.reshape(1, 1), done=torch.ones(1, 1, dtype=bool), batch_size=[1]
                    ),
                    batch_size=[1],
                )
            )
        advantages += out["advantage"].flatten().tolist()
    return {"group": size, "std_floor": 1e-6, "rewards": rewards.flatten().tolist(),
            "advantages": advantages}  # fmt: skip


def ppo(n, vocab, clip, value_clip, drift):
    logits = torch.randn(n, vocab)
    action = torch.randint(vocab, (n,))
    log_probs = distributions.Categorical(logits=logits).log_prob(action)
    old = log_probs + drift * torch.randn(n)
    advantages, old_values, returns = torch.randn(3, n)
    values = old_values + drift * torch.randn(n)
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(torch.nn.Identity(), ["scores"], ["logits"]),
        ProbabilisticTensorDictModule(
            ["logits"], ["action"], distribution_class=distributions.Categorical
        ),
    )
    critic = TensorDictModule(torch.nn.Identity(), ["predicted"], ["state_value"])
    out = {}
    for name, clip_value in [("value", None), ("clipped_value", value_clip)]:
        loss = ClipPPOLoss(
            actor, critic, clip_epsilon=clip, clip_value=clip_value, entropy_bonus=False,
            loss_critic_type="l2", critic_coeff=1.0, normalize_advantage=False, reduction="none",
        )  # fmt: skip
        loss.set_keys(sample_log_prob="old", value_target="returns")
        result = loss(
            TensorDict(
                scores=logits, action=action, old=old, advantage=advantages.unsqueeze(-1),
                predicted=values.unsqueeze(-1), state_value=old_values.unsqueeze(-1),
                returns=returns.unsqueeze(-1), batch_size=[n],
            )  # fmt: skip
        )
        # TorchRL leaves out the half.
        out[name] = (result["loss_critic"].flatten() / 2).tolist()
    return {
        "clip": clip, "value_clip": value_clip,
        "log_probs": log_probs.tolist(), "old_log_probs": old.tolist(),
        "advantages": advantages.tolist(),
        "values": values.tolist(), "old_values": old_values.tolist(), "returns": returns.tolist(),
        "policy_loss": result["loss_objective"].flatten().tolist(),
        "clip_frac": result["clip_fraction"].item(),
        "value_loss": out["value"], "clipped_value_loss": out["clipped_value"],
    }  # fmt: skip


def logits(n, vocab, scale):
    policy, reference = scale * torch.randn(2, n, vocab)
    p, q = (distributions.Categorical(logits=x) for x in (policy, reference))
    return {
        "logits": policy.tolist(), "ref_logits": reference.tolist(),
        "kl": distributions.kl_divergence(p, q).tolist(), "entropy": p.entropy().tolist(),
    }  # fmt: skip


print(
    json.dumps(
        {
            "torch": torch.__version__,
            "torchrl": torchrl.__version__,
            "trajectories": [
                trajectories(2, 7, 1.0, 0.95, 0.0),
                trajectories(3, 9, 0.9, 0.7, 0.3),
                trajectories(2, 17, 0.99, 1.0, 0.2),
                trajectories(9, 5, 0.5, 0.0, 0.5),
            ],
            "groups": [group(6, 2, 1.0), group(12, 4, 10.0), group(24, 8, 0.01)],
            "ppo": [ppo(24, 5, 0.2, 0.2, 0.3), ppo(24, 3, 0.1, 0.5, 1.0)],
            "logits": [logits(4, 3, 1.0), logits(3, 11, 5.0)],
        }
    )
)
