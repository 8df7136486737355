"""Methods of no one family: recommended ones, and the baselines they are compared with."""

from coreset_engine.core.registry.rows import MethodRow, table

_M = "coreset_engine.selection.methods."
GENERAL = table(
    MethodRow(
        name="auto",
        title="Recommended (auto)",
        function=_M + "auto:auto",
        config=_M + "auto:AutoConfig",
        summary="the method with the best forecast at this pruning rate, with its reason",
        needs=("vectors", "neighbours"),
        family="recommended",
        cost="seconds: ranks and judges about ten coresets at two pruning rates",
        live=False,
        featured=True,
        random=("draw", "ties"),
    ),
    MethodRow(
        name="mix",
        title="Several aims (mix)",
        function=_M + "mix:mix",
        config=_M + "mix:MixConfig",
        summary=(
            "the largest weighted sum of diversity, typicality, difficulty, balance, similarity "
            "and a custom score, with each term per image"
        ),
        needs=("neighbours",),
        family="recommended",
        paper="no paper; lazy greedy of Minoux 1978",
        cost="O(N log N) on the graph",
        live=False,
        nested=True,
        counts_preselected=True,
        labels=True,
        random=("ties",),
    ),
    MethodRow(
        name="random",
        title="Random",
        function=_M + "baselines:random",
        config=_M + "baselines:RandomConfig",
        summary="uniform sample without replacement: the baseline every other method must beat",
        family="baseline",
        cost="O(N)",
        nested=True,
        independent=True,
        random=("draw",),
    ),
    MethodRow(
        name="class_balanced",
        title="Random, class-balanced",
        function=_M + "baselines:class_balanced",
        config=_M + "baselines:BalancedConfig",
        summary="the same number of random images from every (pseudo-)class",
        needs=("pseudo_labels",),
        family="baseline",
        cost="O(N log N)",
        nested=True,
        independent=True,
        counts_preselected=True,
        labels=True,
        random=("clustering", "draw"),
    ),
)
