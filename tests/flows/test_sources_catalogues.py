"""Which file and which of its columns a draft takes for items, their kinds, and users."""

from pathlib import Path

from flows.settings import Settings
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def _views(**columns: str) -> list[dict[str, str]]:
    return [{"user_id": f"u{n % 6}", "item_id": str(n % 12), "viewed_at": DAYS[n % 28], **columns} for n in range(60)]


def test_the_variant_of_a_thing_is_not_its_id(settings: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "events.csv", _views(type="purchase"))
    items = [{"id": str(n), "name": f"Tea {n}", "variant": ("S", "M")[n % 2], "price": "3"} for n in range(12)]
    write_rows(tmp_path / "items.csv", items)
    text, mapping = draft_folder(tmp_path)
    assert (mapping["items"]["files"], mapping["items"]["columns"]["item_id"]) == ("items.csv", "id")
    assert rehearse_draft(settings, tmp_path, text)["items"].pairs[0].after["title"] == "Tea 0"


def test_users_are_of_the_file_that_is_called_after_what_is_known_of_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "user_log.csv", _views())
    for name, told in (("test_format1", "prob"), ("train_format1", "label"), ("user_info_format1", "age_range")):
        write_rows(tmp_path / f"{name}.csv", [{"user_id": f"u{n}", "merchant_id": "1", told: "3"} for n in range(6)])
    assert draft_folder(tmp_path)[1]["users"]["files"] == "user_info_format1.csv"
