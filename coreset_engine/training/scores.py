"""Difficulty scores accumulated while a network trains: a few numbers per image, never all logits.

`DynamicsRecorder` is fed the network's outputs for each image, once per epoch, in epoch order;
`finish` returns the scores. High AUM = easy; every other score: high = hard. N images, C classes,
E epochs; p_e = softmax(z_e) in epoch e, y the label that is trained on.

aum
    mean_e z_y - max_{c != y} z_c (Pleiss et al. 2020, eq. 1-2).
forgetting
    number of epochs in which the image is wrong after it was right in the one before; +inf when it
    was never right (Toneva et al. 2019, section 2).
el2n
    mean over the first epochs of ||p - onehot(y)||_2 (Paul et al. 2021, definition 2.4).
grand
    mean over the first epochs of the norm of the last layer's gradient,
    ||p - onehot(y)|| sqrt(||h||^2 + 1) (Paul et al. 2021, definition 2.1).
entropy, loss
    -sum_c p_c log p_c and -log p_y in the last epoch (Coleman et al. 2020).
dyn_unc
    mean over windows of J epochs of the sample standard deviation of p_y in the window (He et al.
    2024, eq. 1-2). The released program leaves the last window out.
dual, mean_probability
    Over the first T epochs: mean over windows of J epochs of s (1 - m), s the sample standard
    deviation and m the mean of p_y in the window (Cho et al. 2025, DUAL); and the mean of p_y,
    which its ratio-adaptive sampling reads.
tdds
    Over the first T epochs only. g_e = sum_c |p_c(e) log(p_c(e) / p_c(e - 1))|; a window of J
    epochs holds J - 1 of these changes; R_t = ||g - mean(g)|| of the window that ends in epoch t;
    the score is sum_t d (1 - d)^(T - t) R_t, newest heaviest (Zhang et al. 2024, eq. 8-11).

Deviations, all for O(N) memory: EL2N and GraNd average epochs of one run where Paul averages ten
runs; GraNd takes the last layer only; a training that is shorter than a window uses one window of
all its epochs. TDDS' program adds 1e-8 to probabilities inside the logarithm, here they are exact.
"""

from __future__ import annotations

import numpy as np
import torch

from coreset_engine.core.row_streaming import accumulator
from coreset_engine.training.config import DynamicsConfig


class DynamicsRecorder:
    """Online scores of n images over a training of `epochs` epochs.

    Kept: (N, C) log-probabilities of the epoch before, rings of (N, J) and (N, J - 1), (N, E)
    margins, on a CPU each in a file where it is large (`row_streaming.accumulator`), and 42 bytes
    an image in memory.

    Parameters
    ----------
    n, n_classes, epochs : int
        Images, outputs of the network, and passes that will be recorded.
    config : DynamicsConfig
        Margin, numbers of early epochs, windows.
    device : str
        Where the outputs lie.
    """

    def __init__(
        self,
        n: int,
        n_classes: int,
        epochs: int,
        config: DynamicsConfig | None = None,
        *,
        device: str = "cpu",
    ):
        self.config = config or DynamicsConfig()
        self.epochs = epochs
        self.early = min(self.config.early, epochs)
        self.window = min(self.config.window, epochs)
        self.tdds_epochs = min(self.config.tdds_epochs, epochs)
        self.changes = max(1, min(self.config.tdds_window, self.tdds_epochs) - 1)
        zeros = lambda *shape: torch.zeros(shape, device=device)  # noqa: E731
        self.margins = accumulator(n, epochs, device=device, kind=torch.float16)
        self.sum_margin = zeros(n)
        self.events = zeros(n)
        self.sum_el2n = zeros(n)
        self.sum_grand = zeros(n)
        self.entropy = zeros(n)
        self.loss = zeros(n)
        self.sum_spread = zeros(n)
        self.dual_epochs = max(self.window, min(self.config.dual_epochs, epochs))
        self.sum_dual = zeros(n)
        self.sum_own = zeros(n)
        self.temporal = zeros(n)
        self.was_right = torch.zeros(n, dtype=torch.bool, device=device)
        self.ever_right = torch.zeros(n, dtype=torch.bool, device=device)
        self.before = accumulator(n, n_classes, device=device)
        self.own_ring = accumulator(n, self.window, device=device)
        self.change_ring = accumulator(n, self.changes, device=device)

    @torch.no_grad()
    def record(
        self,
        epoch: int,
        positions: torch.Tensor,
        logits: torch.Tensor,
        labels: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> None:
        """Add the outputs of one batch.

        Parameters
        ----------
        epoch : int
            From 0; each image is recorded once per epoch, epochs in order.
        positions : (B,) int64
            Rows of the images in the set.
        logits : (B, C) float32
        labels : (B,) int64 in [0, C)
        features : (B, F) float32 or None
            Inputs of the last layer; None leaves GraNd at EL2N.
        """
        logs = torch.log_softmax(logits, dim=1)
        probabilities = logs.exp()
        own = probabilities.gather(1, labels[:, None])[:, 0]
        outputs = logits if self.config.margin == "logit" else probabilities
        margin = _margin(outputs, labels)
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
        if epoch < self.tdds_epochs:
            self._add_temporal(epoch, positions, probabilities, logs)

    def _count_forgetting(self, positions, right) -> None:
        self.events[positions] += (self.was_right[positions] & ~right).float()
        self.was_right[positions] = right
        self.ever_right[positions] |= right

    def _add_early(self, positions, probabilities, own, features) -> None:
        square = probabilities.square().sum(dim=1) - own.square() + (1 - own).square()
        error = square.clamp_min(0).sqrt()
        self.sum_el2n[positions] += error
        reach = 1.0 if features is None else (features.square().sum(dim=1) + 1).sqrt()
        self.sum_grand[positions] += error * reach

    @property
    def last_window(self) -> int:
        """The epoch in which Dyn-Unc's last window ends."""
        if self.config.dyn_unc == "program" and self.epochs > self.window:
            return self.epochs - 2
        return self.epochs - 1

    def _add_uncertainty(self, epoch, positions, own) -> None:
        self.own_ring[positions, epoch % self.window] = own
        watched = epoch < self.dual_epochs
        if watched:
            self.sum_own[positions] += own
        if self.window < 2 or epoch < self.window - 1:
            return
        ring = self.own_ring[positions]
        deviation = ring.std(dim=1, unbiased=True)
        if epoch <= self.last_window:
            self.sum_spread[positions] += deviation
        if watched:
            self.sum_dual[positions] += deviation * (1 - ring.mean(dim=1))

    def _add_temporal(self, epoch, positions, probabilities, logs) -> None:
        if epoch > 0:
            change = (probabilities * (logs - self.before[positions])).abs().sum(dim=1)
            self.change_ring[positions, (epoch - 1) % self.changes] = change
            if epoch >= self.changes:
                ring = self.change_ring[positions]
                deviation = (ring - ring.mean(dim=1, keepdim=True)).norm(dim=1)
                decay = self.config.tdds_decay
                self.temporal[positions] = (
                    decay * deviation + (1 - decay) * self.temporal[positions]
                )
        self.before[positions] = logs

    def finish(self) -> dict[str, np.ndarray]:
        """Return name -> (N,) float32, and margins (N, E) float16; in place, so call it once."""
        windows = self.last_window - self.window + 2
        out = {
            "aum": self.sum_margin.div_(self.epochs),
            "el2n": self.sum_el2n.div_(self.early),
            "grand": self.sum_grand.div_(self.early),
            "entropy": self.entropy,
            "loss": self.loss,
            "dyn_unc": self.sum_spread.div_(windows),
            "tdds": self.temporal,
            "dual": self.sum_dual.div_(max(1, self.dual_epochs - self.window + 1)),
            "mean_probability": self.sum_own.div_(self.dual_epochs),
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
