"""Difficulty scores accumulated while a network trains: a few numbers per image, never every logit
of every epoch.

`Recorder` is fed what the network said about each image, once per epoch, in epoch order; `finish`
returns the scores. High AUM = easy; every other score: high = hard. N images, C classes, E epochs;
p = softmax(z), y the given label.

  aum         mean_e z_y - max_{c != y} z_c                              Pleiss et al. 2020, eq. 1-2
  forgetting  number of e with right at e - 1 and wrong at e; +inf when
              never right                                                Toneva et al. 2019, section
              2
  el2n        mean over the first epochs of ||p - onehot(y)||_2          Paul et al. 2021,
  definition 2.4 grand       mean over the first epochs of the norm of the last layer's
              gradient = ||p - onehot(y)|| sqrt(||h||^2 + 1)             Paul et al. 2021,
              definition 2.1
  entropy     -sum_c p_c log p_c in the last epoch                       Coleman et al. 2020
  loss        -log p_y in the last epoch
  dyn_unc     mean over windows of J epochs of the (sample) standard
              deviation of p_y in the window                             He et al. 2024 (Dyn-Unc),
              eq. 1-2
  tdds        g_e = |sum_c p_c(e) log(p_c(e) / p_c(e-1))|; for each window of J the norm of g -
              mean(g), averaged over windows with weight decay, newest heaviest
              Zhang et al. 2024 (TDDS), eq. 8-11

Deviations, all for O(N) memory: EL2N and GraNd average epochs of one run where Paul averages ten
runs; GraNd takes the last layer only; a training shorter than J + 1 epochs uses the one window it
has.
"""

from __future__ import annotations

import numpy as np
import torch

from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_streaming import accumulator


class Recorder:
    """Online scores of n images over `epochs` epochs. Kept: (N, C) last probabilities, 2 (N, J)
    rings, (N, E) margins, on a CPU each in a file where it is large (`streaming.accumulator`), and
    34 bytes an image in memory.

    margin: "logit" (Pleiss) or "probability" (softmax instead of logits, as ELFS' own program does
        it).
    early: epochs that count for EL2N and GraNd. window: J. decay: weight of the newest window in
        TDDS.
    """

    def __init__(
        self,
        n: int,
        n_classes: int,
        epochs: int,
        *,
        margin: str = "logit",
        early: int = 10,
        window: int = 10,
        decay: float = 0.9,
        device: str = "cpu",
    ):
        if margin not in ("logit", "probability"):
            raise BadInput(f"margin={margin!r} is not offered; choose logit or probability.")
        self.margin = margin
        self.epochs = epochs
        self.early = min(early, epochs)
        self.decay = decay
        self.window = min(window, epochs)
        self.steps = min(window, max(1, epochs - 1))  # TDDS sees differences: one fewer than epochs
        zeros = lambda *shape: torch.zeros(shape, device=device)  # noqa: E731
        self.margins = accumulator(n, epochs, device=device, kind=torch.float16)
        self.sum_margin = zeros(n)
        self.events = zeros(n)
        self.sum_el2n = zeros(n)
        self.sum_grand = zeros(n)
        self.entropy = zeros(n)
        self.loss = zeros(n)
        self.sum_spread = zeros(n)
        self.temporal = zeros(n)
        self.was_right = torch.zeros(n, dtype=torch.bool, device=device)
        self.ever_right = torch.zeros(n, dtype=torch.bool, device=device)
        self.before = accumulator(n, n_classes, device=device)
        self.own_ring = accumulator(n, self.window, device=device)
        self.change_ring = accumulator(n, self.steps, device=device)

    @torch.no_grad()
    def record(
        self,
        epoch: int,
        positions: torch.Tensor,
        logits: torch.Tensor,
        labels: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> None:
        """What was said of images at `positions` in `epoch`: logits (B, C), labels (B,), features
        (B, F) or None."""
        logs = torch.log_softmax(logits, dim=1)
        probabilities = logs.exp()
        own = probabilities.gather(1, labels[:, None])[:, 0]
        margin = _margin(logits if self.margin == "logit" else probabilities, labels)
        self.margins[positions, epoch] = margin.clamp(-65_000, 65_000).half()
        self.sum_margin[positions] += margin
        # Right = the label has the strictly largest output; a tie is not yet learned.
        self._count_forgetting(positions, margin > 0)
        if epoch < self.early:
            self._add_early(positions, probabilities, own, features)
        if epoch == self.epochs - 1:
            self.entropy[positions] = -(probabilities * logs).sum(dim=1)
            self.loss[positions] = -logs.gather(1, labels[:, None])[:, 0]
        self._add_uncertainty(epoch, positions, own)
        self._add_temporal(epoch, positions, probabilities, logs)

    def _count_forgetting(self, positions, right) -> None:
        self.events[positions] += (self.was_right[positions] & ~right).float()
        self.was_right[positions] = right
        self.ever_right[positions] |= right

    def _add_early(self, positions, probabilities, own, features) -> None:
        error = (
            (probabilities.square().sum(dim=1) - own.square() + (1 - own).square())
            .clamp_min(0)
            .sqrt()
        )
        self.sum_el2n[positions] += error
        reach = 1.0 if features is None else (features.square().sum(dim=1) + 1).sqrt()
        self.sum_grand[positions] += error * reach

    def _add_uncertainty(self, epoch, positions, own) -> None:
        self.own_ring[positions, epoch % self.window] = own
        if epoch >= self.window - 1 and self.window > 1:
            self.sum_spread[positions] += self.own_ring[positions].std(dim=1, unbiased=True)

    def _add_temporal(self, epoch, positions, probabilities, logs) -> None:
        if epoch > 0:
            change = (probabilities * (logs - self.before[positions])).sum(dim=1).abs()
            self.change_ring[positions, (epoch - 1) % self.steps] = change
            if epoch >= self.steps:
                ring = self.change_ring[positions]
                deviation = (ring - ring.mean(dim=1, keepdim=True)).norm(dim=1)
                old = self.temporal[positions]
                self.temporal[positions] = (
                    deviation
                    if epoch == self.steps
                    else self.decay * deviation + (1 - self.decay) * old
                )
        self.before[positions] = logs

    def finish(self) -> dict[str, np.ndarray]:
        """name -> (N,) float32, and margins (N, E) float16; in place, so it is called once."""
        windows = self.epochs - self.window + 1
        out = {
            "aum": self.sum_margin.div_(self.epochs),
            "el2n": self.sum_el2n.div_(self.early),
            "grand": self.sum_grand.div_(self.early),
            "entropy": self.entropy,
            "loss": self.loss,
            "dyn_unc": self.sum_spread.div_(windows),
            "tdds": self.temporal,
            "margins": self.margins,
            "forgetting": self.events.masked_fill_(~self.ever_right, torch.inf),
        }
        return {name: value.cpu().numpy() for name, value in out.items()}


def _margin(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B,) output of the label minus the largest other output; of one single class: its output."""
    own = outputs.gather(1, labels[:, None])[:, 0]
    if outputs.shape[1] == 1:
        return own
    top = outputs.topk(2, dim=1)
    return own - torch.where(top.indices[:, 0] == labels, top.values[:, 1], top.values[:, 0])
