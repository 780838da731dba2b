"""Parameters after some AdamW steps, by PyTorch in f64.

    python make_adamw.py > adamw.json

Made with torch 2.11.0.
"""

import json

import torch

torch.manual_seed(0)
STEPS, LR, FACTORS = 12, 0.02, [0.25, 0.5, 1.0] + [1.0 - 0.1 * i for i in range(9)]

matrix = torch.randn(3, 4, dtype=torch.float64)
vector = torch.randn(5, dtype=torch.float64)
grads = [
    [torch.randn_like(matrix) * 10 ** (i % 3 - 1), torch.randn_like(vector)] for i in range(STEPS)
]
start = [matrix.clone(), vector.clone()]
matrix.requires_grad_()
vector.requires_grad_()
optimizer = torch.optim.AdamW(
    [
        {"params": [matrix], "lr": LR, "weight_decay": 0.1},
        {"params": [vector], "lr": 3 * LR, "weight_decay": 0.0},
    ],
    betas=(0.8, 0.95),
    eps=1e-6,
)
base = [group["lr"] for group in optimizer.param_groups]
norms, after = [], []
for step in range(STEPS):
    matrix.grad, vector.grad = (g.clone() for g in grads[step])
    norms.append(torch.nn.utils.clip_grad_norm_([matrix, vector], 2.0).item())
    for group, lr in zip(optimizer.param_groups, base):
        group["lr"] = lr * FACTORS[step]
    optimizer.step()
    after.append([matrix.detach().flatten().tolist(), vector.detach().tolist()])
flat = lambda ts: [t.flatten().tolist() for t in ts]
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "lr": LR,
            "factors": FACTORS,
            "start": flat(start),
            "grads": [flat(g) for g in grads],
            "norms": norms,
            "after": after,
        }
    )
)
