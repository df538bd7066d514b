"""The words of reasons in the languages that serving speaks: one sentence each, filled with names, counts and days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Literal

Language = Literal["en", "zh"]
#: Days from which a date is told with its year.
WITH_YEAR = 300


@dataclass(frozen=True)
class Phrases:
    """Sentences of one language. `own` tells of a deed at the item itself, `deeds` names one at another item.

    Both are by event type, '' for any other. `together_with`, `looked_at_with` and `like` are told of an item beside
    another one, whoever looks. `once_popular` is told where the month that was counted has passed. `day` is filled with
    year, month (its name in English) and day.
    """

    habit: str
    habit_once: str
    own: Mapping[str, str]
    deeds: Mapping[str, str]
    co_purchase: str
    co_view: str
    similar: str
    same_kind: str
    together_with: str
    looked_at_with: str
    like: str
    popular: str
    popular_in: str
    once_popular: str
    once_popular_in: str
    model: str
    whole: str
    anything: str
    pinned: str
    just_now: str
    today: str
    yesterday: str
    day: str
    day_of_year: str


_ENGLISH = Phrases(
    habit="You bought this {count} times, last {when}.",
    habit_once="You bought this {when}.",
    own={
        "view": "You looked at this {when}.",
        "add_to_cart": "You put this in your basket {when}.",
        "purchase": "You bought this {when}.",
        "like": "You liked this {when}.",
        "share": "You shared this {when}.",
        "follow": "You followed this {when}.",
        "review": "You reviewed this {when}.",
        "": "You chose this {when}.",
    },
    deeds={
        "view": "which you looked at",
        "add_to_cart": "which you put in your basket",
        "purchase": "which you bought",
        "like": "which you liked",
        "share": "which you shared",
        "follow": "which you followed",
        "review": "which you reviewed",
        "": "which you chose",
    },
    co_purchase="Often bought with {title}, {deed}.",
    co_view="Often looked at together with {title}, {deed}.",
    similar="Similar to {title}, {deed}.",
    same_kind="The same kind as one {deed}.",
    together_with="Often bought with {title}.",
    looked_at_with="Often looked at together with {title}.",
    like="Similar to {title}.",
    popular="Popular this month.",
    popular_in="Popular in {category} this month.",
    once_popular="Popular.",
    once_popular_in="Popular in {category}.",
    model="Fits what you chose lately.",
    whole="Fits what you chose so far.",
    anything="From our range.",
    pinned="Chosen by the shop.",
    just_now="just now",
    today="today",
    yesterday="yesterday",
    day="on {day} {month_name}",
    day_of_year="on {day} {month_name} {year}",
)
_CHINESE = Phrases(
    habit="您买过{count}次，最近一次是{when}。",
    habit_once="您{when}买过。",
    own={
        "view": "您{when}看过。",
        "add_to_cart": "您{when}加入了购物车。",
        "purchase": "您{when}买过。",
        "like": "您{when}点过赞。",
        "share": "您{when}分享过。",
        "follow": "您{when}关注过。",
        "review": "您{when}评价过。",
        "": "您{when}选过。",
    },
    deeds={
        "view": "看过",
        "add_to_cart": "加入购物车",
        "purchase": "买过",
        "like": "点赞",
        "share": "分享过",
        "follow": "关注",
        "review": "评价过",
        "": "选过",
    },
    co_purchase="常与您{deed}的“{title}”一起购买。",
    co_view="常与您{deed}的“{title}”一起浏览。",
    similar="与您{deed}的“{title}”相似。",
    same_kind="与您{deed}的商品同类。",
    together_with="常与“{title}”一起购买。",
    looked_at_with="常与“{title}”一起浏览。",
    like="与“{title}”相似。",
    popular="本月热门。",
    popular_in="本月“{category}”类热门。",
    once_popular="热门商品。",
    once_popular_in="“{category}”类热门。",
    model="符合您最近的选择。",
    whole="符合您以往的选择。",
    anything="来自我们的商品。",
    pinned="本店精选。",
    just_now="刚刚",
    today="今天",
    yesterday="昨天",
    day="{month}月{day}日",
    day_of_year="{year}年{month}月{day}日",
)
PHRASES: Mapping[Language, Phrases] = {"en": _ENGLISH, "zh": _CHINESE}


def when(seconds: int, now: datetime, language: Language) -> str:
    """Say when a moment (seconds since 1970, UTC) was, as people say it at `now`, whose time zone the days are of."""
    phrases = PHRASES[language]
    if _seconds(now) - seconds < 600:
        return phrases.just_now
    day = datetime.fromtimestamp(seconds, now.tzinfo).toordinal()
    days = now.toordinal() - day
    if days < 2:
        return phrases.today if days <= 0 else phrases.yesterday
    return _on_day(day, days >= WITH_YEAR, language)


@lru_cache(maxsize=16)
def _seconds(now: datetime) -> float:
    return now.timestamp()


@lru_cache(maxsize=8192)
def _on_day(day: int, with_year: bool, language: Language) -> str:
    that, phrases = date.fromordinal(day), PHRASES[language]
    form = phrases.day_of_year if with_year else phrases.day
    return form.format(day=that.day, month=that.month, month_name=f"{that:%b}", year=that.year)
