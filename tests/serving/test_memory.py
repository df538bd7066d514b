"""What a release that goes leaves behind."""

import gc
import weakref

from serving.memory import settle_memory


class Held:
    """Something that holds itself, as an open store and its functions do."""

    def __init__(self) -> None:
        self.itself = self


def test_what_holds_itself_in_a_circle_goes_when_the_next_release_settles():
    thresholds, held = gc.get_threshold(), Held()
    seen = weakref.ref(held)
    try:
        settle_memory()
        del held
        assert seen() is not None
        settle_memory()
        assert seen() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
