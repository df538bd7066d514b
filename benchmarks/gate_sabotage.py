"""Twenty ways to spoil a model, and five honest better ones, on the planted shop where the truth about each is known.

Every spoilt model is the best model of the shop but for its one fault, so that nothing else can refuse it in its place.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.gate_shop import (
    ITEMS,
    LENGTH,
    ByHeart,
    Shop,
    Transitions,
    Wasteful,
    learned_table,
    popular_row,
    true_table,
    write_template,
    write_with_weights,
)
from feature_repo.features import USER_VIEWS
from training.dataset import Cut, TrainingSet
from training.export import write_model
from training.gate import GateReport, judge
from training.gate_checks import GateLimits, vocabulary_sha256
from training.onnx_ranking import Contender

AS_OF = datetime(2026, 3, 16)
#: The shop is small: so are its limits.
LIMITS = GateLimits(latency_ms=25, size_mib=1.0, memory_mib=512)
WEIGHTS = (1.0, 0.1, 0.05, 0.01)
FEATURES = tuple(f"{view.name}__{name}" for view in USER_VIEWS for name in view.feature_names)


@dataclass(frozen=True)
class Bench:
    """The shop, its champion, a folder for files, and the exported shape that simple models share."""

    shop: Shop
    champion: Contender
    folder: Path
    template: Path


@dataclass(frozen=True)
class Entry:
    """One model before the gate: its file, the torch module that it claims to be, and the data it is judged on."""

    contender: Contender
    module: Transitions
    training_set: TrainingSet


def open_bench(shop: Shop, folder: Path) -> Bench:
    """Make the champion: it learned the same rule from a tenth of the users."""
    folder.mkdir(parents=True, exist_ok=True)
    template = folder / "template.onnx"
    write_template(shop, template)
    champion = Transitions(learned_table(shop, users=30, depth=2), popular_row(shop), (1.0, 0.0, 0.0, 0.0))
    path = folder / "champion.onnx"
    write_with_weights(template, champion, path)
    return Bench(shop, Contender("champion", path, shop.training_set.catalogue.item_ids, as_of=AS_OF), folder, template)


def judge_entry(bench: Bench, entry: Entry) -> GateReport:
    """Let the gate judge."""
    shop = bench.shop
    return judge(entry.contender, entry.module, bench.champion, entry.training_set, LIMITS, shop.channels)


def honest_entries(bench: Bench) -> Iterator[tuple[str, Entry]]:
    """Give five better models, each better in its own way."""
    shop = bench.shop
    popular, true, learned = popular_row(shop), true_table(shop), learned_table(shop)
    yield "the rule itself", _entry(bench, Transitions(true, popular, WEIGHTS))
    yield "the rule, learned", _entry(bench, Transitions(learned, popular, WEIGHTS))
    yield "the last item only", _entry(bench, Transitions(learned, popular, (1.0, 0.0, 0.0, 0.0)))
    yield "more weight on what is popular", _entry(bench, Transitions(learned, 2 * popular, (1.0, 0.1, 0.05, 0.0)))
    yield "weights of 8 bits, exported so", _entry(bench, Transitions(np.round(true * 127) / 127, popular, WEIGHTS))


def sabotaged_entries(bench: Bench) -> Iterator[tuple[str, str, Entry]]:
    """Give nineteen spoilt models: name, what the gate's reason must say, entry. The twentieth is a signature."""
    yield from _wrong_scores(bench)
    yield from _wrong_data(bench)
    yield from _wrong_files(bench)
    yield from _wrong_papers(bench)


def _best(bench: Bench) -> Transitions:
    return Transitions(true_table(bench.shop), popular_row(bench.shop), WEIGHTS)


def _wrong_scores(bench: Bench) -> Iterator[tuple[str, str, Entry]]:
    """Models that are sound as files and wrong as models."""
    true, popular = true_table(bench.shop), popular_row(bench.shop)
    random = np.random.default_rng(5)
    drawn = np.concatenate(([0], random.permutation(ITEMS) + 1))
    shuffled = Transitions(true[:, drawn], popular[drawn], (*WEIGHTS[:3], 0.0))
    yield (
        "shuffled ids",
        "personal: expected a user's own slate better than another's, .* came [0-9]{2,} different",
        _entry(bench, shuffled),
    )
    only_popular = Transitions(0 * true, popular, (1.0, 0.0, 0.0, 0.0))
    yield (
        "popularity only",
        "personal: .* came 1 different slates for",
        _entry(bench, only_popular),
    )
    constant = Transitions(0 * true, 0 * popular + 1, (0.0, 0.0, 0.0, 0.0))
    yield "constant", "scores differ: .* users get one score for all items", _entry(bench, constant)
    broken = true.copy()
    broken[7, 7] = np.nan
    yield "NaN in the weights", "finite weights: .* not finite", _entry(bench, Transitions(broken, popular, WEIGHTS))
    inverted = Transitions(-true, -popular, (*WEIGHTS[:3], -WEIGHTS[3]))
    yield "inverted scores", "right way up: .* upside down", _entry(bench, inverted)
    shelves = np.array(["", *bench.shop.training_set.catalogue.categories])
    one = Transitions(true, popular + 50 * (shelves == "Shelf 0"), WEIGHTS)
    yield "one category only", "categories: .* 100% of the places are Shelf 0", _entry(bench, one)
    missing = np.zeros(ITEMS + 1)
    missing[random.permutation(ITEMS)[: ITEMS // 2] + 1] = -50
    half = Transitions(true, popular + missing, WEIGHTS)
    yield "half the catalogue missing", "reach: .* wanted items are within reach", _entry(bench, half)
    moved = np.concatenate(([0], np.roll(np.arange(1, ITEMS + 1), 1)))
    by_one = Transitions(true[:, moved], popular[moved], WEIGHTS)
    yield "wrong item mapping by one", "item mapping: .* mean the item beside it", _entry(bench, by_one)


def _wrong_data(bench: Bench) -> Iterator[tuple[str, str, Entry]]:
    """Models that saw what they could not know, or not what they should."""
    honest = _entry(bench, _best(bench))
    leaked = replace(honest, training_set=with_future(bench.shop.training_set))
    yield "leaked future", "target in input: .* of them items that the user wants in the test week", leaked
    old = replace(honest.contender, as_of=AS_OF - timedelta(days=56))
    yield "stale data", "data as new as the incumbent's: expected data up to 2026-03-16", replace(honest, contender=old)
    test = bench.shop.training_set.test
    wanted = np.zeros((len(test.queries), ITEMS + 1))
    wanted[np.repeat(np.arange(len(wanted)), test.truth.counts()), test.truth.items] = 1
    by_heart = ByHeart(true_table(bench.shop), popular_row(bench.shop), WEIGHTS)
    by_heart.remember(test.queries.history_items, wanted)
    yield "trained on test", "too good: .* surely more than", _entry(bench, by_heart, exported=True)


def _wrong_files(bench: Bench) -> Iterator[tuple[str, str, Entry]]:
    """Files that are too slow, too large, or not what the trained module says."""
    true, popular = true_table(bench.shop), popular_row(bench.shop)
    slow = Wasteful(true, popular, WEIGHTS)
    yield "slow graph", "latency: expected p99 of one request ≤ 25 ms", _entry(bench, slow, exported=True)
    yield "oversize", "size: expected ≤ 1 MiB, came", _changed(bench, _add_ballast)
    yield "non-deterministic", "deterministic: .* two runs of the same rows differ", _changed(bench, _add_noise)
    yield "swapped columns", "ONNX = torch: .* differ by", _changed(bench, _swap_columns)
    yield "quantised to death", "ONNX = torch: .* differ by", _changed(bench, _quantise)
    cut = _entry(bench, _best(bench))
    cut.contender.path.write_bytes(cut.contender.path.read_bytes()[:2000])
    yield "truncated file", "file: expected a whole ONNX file that opens", cut


def _wrong_papers(bench: Bench) -> Iterator[tuple[str, str, Entry]]:
    """Good models, handed over with papers that say something else."""
    honest = _entry(bench, _best(bench))
    swapped = (FEATURES[1], FEATURES[0], *FEATURES[2:])
    told = replace(honest.contender, features=swapped)
    yield "wrong feature order", "feature order: .* another order: place 1", replace(honest, contender=told)
    other = replace(honest.contender, vocabulary_sha256=vocabulary_sha256(["another", "catalogue"]))
    yield "wrong vocabulary hash", "vocabulary: .* handed over as vocabulary", replace(honest, contender=other)


def with_future(training_set: TrainingSet, age: float = 0.5) -> TrainingSet:
    """Return the data with some of what each user wants in the test week written into the past, `age` days before."""
    cut = training_set.test
    items, ages, kinds = (
        getattr(cut.queries, name).copy() for name in ("history_items", "history_ages", "history_types")
    )
    for user in range(len(cut.queries)):
        put = cut.truth.row(user)[:3]
        if len(put):
            for array, values in ((items, put), (ages, age), (kinds, 3)):
                array[user] = np.concatenate([array[user, len(put) :], np.broadcast_to(values, len(put))])
    queries = replace(cut.queries, history_items=items, history_ages=ages, history_types=kinds)
    return replace(training_set, test=Cut(queries, cut.truth))


def _entry(bench: Bench, module: Transitions, exported: bool = False) -> Entry:
    """Write the module's file; `exported` ones have a shape of their own."""
    path = bench.folder / f"model-{len(list(bench.folder.iterdir())):02d}.onnx"
    if exported:
        write_model(module, ITEMS, path)
    else:
        write_with_weights(bench.template, module, path)
    item_ids = bench.shop.training_set.catalogue.item_ids
    papers = {"vocabulary_sha256": vocabulary_sha256(item_ids), "features": FEATURES, "as_of": AS_OF}
    return Entry(Contender("challenger", path, item_ids, **papers), module, bench.shop.training_set)


def _changed(bench: Bench, change: Callable[[onnx.ModelProto], None]) -> Entry:
    """Return the best model with its file changed after the export."""
    entry = _entry(bench, _best(bench))
    model = onnx.load(entry.contender.path)
    change(model)
    entry.contender.path.write_bytes(model.SerializeToString())
    return entry


def _add_ballast(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones(600_000, dtype=np.float32), "ballast"))


def _add_noise(model: onnx.ModelProto) -> None:
    noise = helper.make_node("RandomNormalLike", ["all_scores"], ["noise"], dtype=TensorProto.FLOAT, scale=1.0)
    _before_mask(model, [noise, helper.make_node("Add", ["all_scores", "noise"], ["noisy"])], "noisy")


def _before_mask(model: onnx.ModelProto, nodes: list[onnx.NodeProto], name: str) -> None:
    """Put nodes between the scores and the mask, which then reads `name`."""
    place = next(number for number, node in enumerate(model.graph.node) if node.name == "aisle_mask")
    for offset, node in enumerate(nodes):
        model.graph.node.insert(place + offset, node)
    mask = model.graph.node[place + len(nodes)]
    mask.input[1] = name


def _swap_columns(model: onnx.ModelProto) -> None:
    """History and habits change places, as if the columns had been joined in another order."""
    assert LENGTH == 100
    names = {"history_items": "habit_items", "habit_items": "history_items"}
    for node in model.graph.node:
        for number, name in enumerate(node.input):
            node.input[number] = names.get(name, name)


def _quantise(model: onnx.ModelProto) -> None:
    """Keep one bit of each weight."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > ITEMS:
            tensor.CopyFrom(numpy_helper.from_array((values > values.mean()).astype(np.float32), tensor.name))
