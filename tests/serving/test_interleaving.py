"""A draft is fair: each side's best comes first in turn, nobody's item twice, and a coin says who begins."""

from hypothesis import given
from hypothesis import strategies as st

from feature_repo.experiments import CHALLENGER, CHAMPION
from serving.exploration import Exploration
from serving.exposure import Exposure
from serving.interleaved_answers import interleaved
from serving.interleaving import team_draft
from serving.metrics import make_metrics
from serving.placement import Wishes
from serving.recommender import Question, recommend
from serving.release import Release
from tests.serving.tiny_shop import AS_OF, COFFEE

rankings = st.lists(st.sampled_from([f"i{number}" for number in range(12)]), unique=True, max_size=12)


@given(rankings, rankings, st.integers(0, 14), st.text())
def test_a_draft_has_every_item_once_and_both_sides_in_their_own_order(ours: list, theirs: list, k: int, seed: str):
    draft = team_draft(ours, theirs, k, seed)
    items = [item for item, _ in draft]
    assert len(items) == len(set(items)) == min(k, len({*ours, *theirs}))
    assert draft == team_draft(ours, theirs, k, seed)
    for side, ranking in ((CHAMPION, ours), (CHALLENGER, theirs)):
        chosen = [item for item, team in draft if team == side]
        assert chosen == sorted(chosen, key=ranking.index)
        for place, (item, team) in enumerate(draft):
            if team == side:
                better = ranking[: ranking.index(item)]
                assert set(better) <= set(items[:place]), "the best that was left"


@given(rankings.filter(lambda ranking: len(ranking) == 12), st.text())
def test_each_side_has_one_choice_a_round(ranking: list, seed: str):
    draft = team_draft(ranking, ranking[::-1], 12, seed)
    for start in range(0, 12, 2):
        assert {team for _, team in draft[start : start + 2]} == {CHAMPION, CHALLENGER}
    assert [item for item, _ in team_draft(ranking, ranking, 12, seed)] == ranking


def test_either_side_begins_half_of_the_time():
    first = [team_draft(["a"], ["b"], 2, f"seed {number}")[0][1] for number in range(4_000)]
    assert abs(first.count(CHALLENGER) - 2_000) < 4 * 32


def test_a_mixed_slate_tells_no_probabilities_of_the_lists_it_was_made_of(release: Release):
    drawn = [
        recommend(
            release,
            Question(None, 4, session_items=(COFFEE,), wishes=Wishes(exploration=Exploration(0.5, seed))),
            AS_OF,
            make_metrics(),
        )
        for seed in ("a", "b")
    ]
    mixed = interleaved(drawn[0], drawn[1], "salt:q_1", Exposure("x", "interleaved", 0.5))
    assert {item.propensity for item in mixed.slate} == {None}
    assert mixed.exploration_seed is None
