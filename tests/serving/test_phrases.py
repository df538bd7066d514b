"""When a deed was, as people of the shop say it: the days are those of its time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from serving.history import Habit, UserRow
from serving.metrics import make_metrics
from serving.phrases import when
from serving.recommender import Question, recommend_many
from serving.release import Release
from tests.serving.tiny_shop import AS_OF, MILK, REGULAR

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("bought", "asked", "english", "chinese"),
    [
        ("2026-11-29 09:00", "2026-11-30 07:30", "yesterday", "昨天"),
        ("2026-11-30 07:00", "2026-11-30 20:00", "today", "今天"),
        ("2026-11-20 07:00", "2026-11-30 20:00", "on 20 Nov", "11月20日"),
        ("2025-11-20 07:00", "2026-11-30 20:00", "on 20 Nov 2025", "2025年11月20日"),
    ],
)
def test_a_day_begins_at_the_shops_midnight(bought: str, asked: str, english: str, chinese: str):
    deed, now = (datetime.fromisoformat(text).replace(tzinfo=SHANGHAI) for text in (bought, asked))
    seconds = int(deed.timestamp())
    assert (when(seconds, now, "en"), when(seconds, now, "zh")) == (english, chinese)


def test_a_slate_tells_the_days_of_the_shop(release: Release):
    row = UserRow(habits=(Habit(MILK, 1.0, int(AS_OF.timestamp()) - 5 * 3600),))  # 19:00 in London, 03:00 in Shanghai
    asked = [Question(REGULAR, 1), Question(REGULAR, 1, timezone="Asia/Shanghai")]
    answers = recommend_many(release, asked, AS_OF, make_metrics(), [row, row])
    assert [answer.slate[0].reason.text for answer in answers] == [
        "You bought this yesterday.",
        "You bought this today.",
    ]
    assert {answer.as_of.isoformat() for answer in answers} == {AS_OF.isoformat()}
