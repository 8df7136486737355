"""The settings of a run: one frozen record, the only list of them.

Everything else about settings is derived from the fields of `RunConfig` and their
metadata: artefact keys (`stages`), the manifest and the job spec (`to_record`, `from_record`), the
command line (`cli.options.with_run_settings`), the app's session, address bar and "Advanced" form
(`url`, `settings_of`), cluster tasks, `inclusion`, `evaluate` and `verify`. A new setting is one
new field.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from coreset_engine.core.config import check_value, knob, make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import CLUSTERERS, ENCODERS, PROXIES, Row, load, look_up
from coreset_engine.pipeline.recipes import Recipe
from coreset_engine.pipeline.recipes import find as find_recipe

if TYPE_CHECKING:  # `--help` does without NumPy
    import numpy as np

SEARCHES = ("auto", "exact", "approximate")
PRESET = "preset"


class Settings(Mapping[str, Any]):
    """An immutable, hashable mapping of setting names to plain values."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._items: dict[str, Any] = dict(sorted(dict(values).items()))

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


NONE_SET = Settings()


class TakenRecipe(str):
    """The name of a recipe whose settings a config already holds."""


def setting(  # noqa: PLR0913
    default: Any,
    help: str,
    *,
    stages: tuple[str, ...] = (),
    flag: str | None = "",
    url: str = "",
    key_name: str = "",
    table: Mapping[str, Row] | None = None,
    noun: str = "",
    **bounds: Any,
) -> Any:
    """A field of `RunConfig`.

    Parameters
    ----------
    default, help
        The default value and one line for people.
    stages
        Stages whose results depend on it, and whose keys it therefore enters.
    flag
        Its command-line option; "" derives it from the name, None means that there is none.
    url
        Its parameter in the app's address bar; "" keeps it out of links.
    key_name
        What artefact keys call it, where that is not the field's name.
    table, noun
        The registry that its value is a row of, and what error messages call such a row.
    bounds
        low, high, step, choices and label, as `core.config.knob` takes them.
    """
    about = knob(default, help, **bounds).metadata
    own = dict(stages=stages, flag=flag, url=url, key_name=key_name, table=table, noun=noun)
    return field(default=default, metadata={**about, **own})


def settings(
    help: str,
    *,
    stages: tuple[str, ...],
    of: str = "",
    config: str = "",
    skip: tuple[str, ...] = (),
    key_name: str = "",
) -> Any:
    """A field of `RunConfig` that holds the settings of a part, as `Settings`.

    Parameters
    ----------
    help
        One line for people.
    stages
        As in `setting`.
    of
        The field whose registry row names the config dataclass, or
    config
        the config dataclass itself, as "module:name".
    skip
        Fields of the dataclass that `RunConfig` has itself.
    key_name
        What artefact keys call the mapping; "" puts its entries beside the other parameters.
    """
    about = dict(help=help, stages=stages, flag=None, url="", key_name=key_name)
    own = dict(settings_of=of, config=config, skip=skip)
    return field(default=NONE_SET, metadata={**about, **own})


@dataclass(frozen=True)
class RunConfig:
    """What a run computes; where it computes is the executor's business.

    Parameters are the fields below; each one's help and bounds stand in its metadata. The four
    mappings hold settings of parts: `clusterer_settings` those of the clusterer's config dataclass
    (and `preset`), `proxy_settings` those of the proxy's, `dynamics` those of `DynamicsConfig`,
    `coverage` those of `CoverageConfig`.

    Raises
    ------
    BadInput
        For a value that its field refuses, with value, constraint and remedy.
    """

    encoder: str = setting(
        "efficientnet_lite0",
        f"one of {', '.join(ENCODERS)}, timm:NAME, open_clip:ARCH/TAG, or a+b",
        stages=("embeddings",),
        url="encoder",
    )
    weights: str | None = setting(None, "encoder weights on disk", stages=("embeddings",))
    seed: int = setting(
        0,
        "seed of every random step",
        stages=("pseudo_labels", "dynamics", "coverage", "map"),
        url="seed",
        low=0,
    )
    n_clusters: int | None = setting(
        None,
        "number of clusters; default: class names known, else proposed",
        stages=("pseudo_labels",),
        url="clusters",
    )
    clusterer: str = setting(
        "temi",
        f"how pseudo-labels are made: {', '.join(CLUSTERERS)}",
        stages=("pseudo_labels",),
        url="clusterer",
        key_name="method",
        table=CLUSTERERS,
        noun="clusterer",
    )
    clusterer_settings: Settings = settings(
        "settings of the clusterer, and its preset",
        stages=("pseudo_labels",),
        of="clusterer",
        key_name="settings",
    )
    proxy: str = setting(
        "mlp",
        "network whose training dynamics are recorded: mlp, linear (on embeddings), "
        f"{', '.join(name for name, row in PROXIES.items() if 'images' in row.needs)} (on pixels)",
        stages=("dynamics",),
        url="proxy",
        table=PROXIES,
        noun="proxy",
    )
    proxy_settings: Settings = settings(
        "training recipe and size of the proxy",
        stages=("dynamics",),
        of="proxy",
        key_name="recipe",
    )
    dynamics: Settings = settings(
        "what is recorded while the proxy trains, and how margins are computed",
        stages=("dynamics",),
        config="coreset_engine.training.config:DynamicsConfig",
    )
    predictions: str | None = setting(
        None,
        "your own model's predictions (CSV, Parquet, JSON Lines or fiftyone:NAME/FIELD), used for "
        "difficulty and uncertainty instead of a proxy's training",
        stages=("dynamics",),
    )
    n_samples: int | None = setting(
        None,
        "coverage samples T; default: until two seeds agree",
        stages=("coverage",),
        url="samples",
        low=1,
    )
    coverage: Settings = settings(
        "random slices, redundancy neighbours and penalty of the coverage scores",
        stages=("coverage",),
        config="coreset_engine.coverage.config:CoverageConfig",
        skip=("n_samples",),
    )
    search: str = setting(
        "auto",
        "neighbour search: exact, approximate (IVF-PQ, recall measured), or auto by number of "
        "images",
        stages=("neighbours",),
        flag="--neighbours",
        url="search",
        label="Neighbour search",
        choices=SEARCHES,
    )
    recipe: str | None = setting(
        None,
        "settings, method and parameters of a paper or its code, by name, for example elfs-paper; "
        "explicit options override it",
    )
    device: str = setting(
        "auto",
        "auto (a GPU if there is one), cpu, or cuda; also applies to the nodes of a cluster",
        label="Device",
    )

    def __post_init__(self) -> None:
        if self.recipe is not None and not isinstance(self.recipe, TakenRecipe):
            _take_recipe(self, find_recipe(str(self.recipe)))
        for about in fields(self):
            value = _checked(self, about, getattr(self, about.name))
            object.__setattr__(self, about.name, value)
        _check_encoder(self.encoder)

    # -- derived from the fields

    def effective(self, name: str) -> dict[str, Any]:
        """What a mapping field changes: its preset expanded, without values that are defaults."""
        about = _field(self, name)
        value = getattr(self, name)
        if not value:
            return {}
        kind = config_class(self, about)
        made = make(kind, _expanded(kind, value))
        return {
            part.name: getattr(made, part.name)
            for part in fields(kind)
            if part.init and getattr(made, part.name) != part.default
        }

    def to_record(self, *, results_only: bool = False) -> dict[str, Any]:
        """Name -> JSON-able value of every field.

        Parameters
        ----------
        results_only
            Leave out what enters no stage's key, such as the device.
        """
        return {
            about.name: _plain(getattr(self, about.name))
            for about in fields(self)
            if about.metadata.get("stages") or not results_only
        }

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Self:
        """The config of `to_record`, also of one written when there were fewer settings.

        Values that stand beside a recipe win over it, also where they are the default.

        Raises
        ------
        BadInput
            For a name that no setting has, or a value that its field refuses.
        """
        known = {about.name for about in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise BadInput(
                f"{unknown[0]!r} is an unknown setting of a run; known: {', '.join(sorted(known))}."
            )
        if values.get("recipe") is None:
            return cls(**values)
        recipe = find_recipe(str(values["recipe"]))
        merged = {**recipe.run, **values, "recipe": TakenRecipe(recipe.name)}
        made = cls(**merged)
        return replace(made, **_settings_of_recipe(made, recipe))

    @classmethod
    def from_job(cls, params: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """(config, the other parameters) of a job.

        Settings lie under "run"; version 0.1 wrote them among the others, where they are still
        read.
        """
        rest = dict(params)
        own = rest.pop("run", None)
        if own is None:
            names = {about.name for about in fields(cls)}
            own = {name: rest.pop(name) for name in list(rest) if name in names}
        return cls.from_record(own), rest

    def with_set(self, items: Iterable[str]) -> Self:
        """This config with GROUP.NAME=VALUE of `--set` taken in, each checked.

        Groups are the clusterer's and the proxy's name, "dynamics" and "coverage".
        """
        changed: dict[str, dict[str, Any]] = {}
        for item in items:
            group, name, value = _split(item)
            about = _group_field(self, group, item)
            entries = changed.setdefault(about.name, dict(getattr(self, about.name)))
            entries[name] = value
        groups: dict[str, Any] = {name: Settings(values) for name, values in changed.items()}
        return replace(self, **groups)


@dataclass(frozen=True)
class ImportedLabels:
    """Labels from people that a run's true labels were filled up from.

    Parameters
    ----------
    labels
        Image id -> class name, as given.
    n_clusters
        Clusters requested before the labels brought classes of their own; 0 = proposed by the data.
    how
        What filled the other images in: "clusters", "graph" or "linear", see
        `pipeline.imported_labels`.
    confidence
        (N,) float32 in [0, 1], of the label of each image; None where it is not known.
    """

    labels: Mapping[str, str]
    n_clusters: int
    how: str = "clusters"
    confidence: np.ndarray | None = field(default=None, compare=False)


def _take_recipe(config: RunConfig, recipe: Recipe) -> None:
    """Give fields that are at their default the recipe's value; settings of parts alike."""
    object.__setattr__(config, "recipe", TakenRecipe(recipe.name))
    for name, value in recipe.run.items():
        if getattr(config, name) == _field(config, name).default:
            object.__setattr__(config, name, value)
    for name, settings_of_part in _settings_of_recipe(config, recipe).items():
        object.__setattr__(config, name, settings_of_part)


def _settings_of_recipe(config: RunConfig, recipe: Recipe) -> dict[str, Any]:
    """Mapping field -> its settings with the recipe's; those the config has win."""
    groups = setting_groups(config)
    settings: dict[str, Any] = {}
    for item in recipe.settings:
        group, name, value = _split(item)
        if group in groups:  # else the user chose another clusterer or proxy
            mapping = groups[group].name
            settings[mapping] = {name: value, **settings.get(mapping, getattr(config, mapping))}
    return settings


def config_class(config: RunConfig, about: dataclasses.Field[Any]) -> Any:
    """The dataclass that a mapping field's settings belong to."""
    owner = about.metadata["settings_of"]
    if not owner:
        return load(about.metadata["config"])
    row = look_up(_field(config, owner).metadata["table"], getattr(config, owner), owner)
    return load(row.config)


def setting_groups(config: RunConfig) -> dict[str, dataclasses.Field[Any]]:
    """Group name, as `--set` takes it -> the mapping field it belongs to."""
    return {
        getattr(config, about.metadata["settings_of"])
        if about.metadata["settings_of"]
        else about.name: about
        for about in fields(config)
        if "settings_of" in about.metadata
    }


def _field(config: Any, name: str) -> dataclasses.Field[Any]:
    return next(about for about in fields(config) if about.name == name)


def _check_encoder(names: str) -> None:
    """BadInput for an unknown encoder, also where the source brings vectors of its own."""
    for name in names.split("+"):
        if ":" not in name and name.strip() != "given":
            look_up(ENCODERS, name, "encoder")


def _checked(config: RunConfig, about: dataclasses.Field[Any], value: Any) -> Any:
    metadata = about.metadata
    if "settings_of" in metadata:
        return _checked_settings(config, about, value)
    if metadata.get("table") is not None:
        return look_up(metadata["table"], value, metadata["noun"]).name
    if isinstance(about.default, str) or str(about.type).startswith("str"):
        value = _text(about, value)
    return check_value(about, value)


def _text(about: dataclasses.Field[Any], value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    if value is None and about.default is None:
        return None
    raise BadInput(f"{about.name}={value!r} must be text, for example {about.default!r}.")


def _checked_settings(config: RunConfig, about: dataclasses.Field[Any], value: Any) -> Settings:
    if not isinstance(value, Mapping):
        raise BadInput(f"{about.name}={value!r} must be a mapping, for example {{'epochs': 40}}.")
    if not value:
        return NONE_SET
    kind = config_class(config, about)
    skipped = sorted(set(value) & set(about.metadata["skip"]))
    if skipped:
        raise BadInput(
            f"{skipped[0]!r} is a setting of the run, not of its {about.name}; "
            f"give {skipped[0]} itself."
        )
    presets = _presets(kind)
    if PRESET in value and presets and value[PRESET] not in presets:
        raise BadInput(
            f"preset={value[PRESET]!r} is not supported; choose one of {', '.join(presets)}."
        )
    plain = {name: one for name, one in value.items() if name != PRESET or not presets}
    made = make(kind, plain)
    kept = {name: getattr(made, name) for name in plain}
    if PRESET in value:
        kept[PRESET] = value[PRESET]
    return Settings(kept)


def _presets(kind: Any) -> Mapping[str, Mapping[str, Any]]:
    presets: Mapping[str, Mapping[str, Any]] = getattr(kind, "PRESETS", {})
    return presets


def _expanded(kind: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    preset = _presets(kind).get(fields.get(PRESET, ""), {})
    return {**preset, **{name: value for name, value in fields.items() if name != PRESET}}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Settings) else value


def _split(item: str) -> tuple[str, str, str]:
    name, equals, value = item.partition("=")
    group, dot, own = name.partition(".")
    if not (equals and dot and group and own):
        raise BadInput(
            f"--set {item!r} must read GROUP.NAME=VALUE, for example --set temi.preset=paper."
        )
    return group, own, value


def _group_field(config: RunConfig, group: str, item: str) -> dataclasses.Field[Any]:
    groups = setting_groups(config)
    if group in groups:
        return groups[group]
    for about in groups.values():
        owner = about.metadata["settings_of"]
        if owner and group in _field(config, owner).metadata["table"]:
            raise BadInput(
                f"--set {item!r} is for the {owner} {group!r} and this run's is "
                f"{getattr(config, owner)!r}; add --{owner} {group}."
            )
    raise BadInput(f"--set {item!r} is not a group of settings; known: {', '.join(groups)}.")
