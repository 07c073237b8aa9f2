from typing import Any

from fleet_operator.api.pool import KIND
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.specs.names import POOL_LABEL

KEY = Key("team", "vision")


def a_body(uid: str = "one", version: str = "5") -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "vision", "uid": uid, "resourceVersion": version}}


def known(mirror: Mirror) -> tuple[str, str] | None:
    meta = (mirror.pools.get(KEY) or {}).get("metadata")
    return (meta["uid"], meta["resourceVersion"]) if meta else None


def test_the_end_of_a_pool_is_not_that_of_another_one_of_its_name() -> None:
    mirror = Mirror()
    mirror.put_pool(a_body("two"))
    assert mirror.remove_pool(*KEY, "one") is None
    assert known(mirror) == ("two", "5")
    assert mirror.remove_pool(*KEY, "two") == KEY
    assert known(mirror) is None
    assert mirror.remove_pool(*KEY, "two") is None


def test_an_answer_that_comes_late_brings_no_pool_back() -> None:
    mirror = Mirror()
    mirror.put_pool(a_body())
    mirror.update_pool(a_body(version="6"))
    assert known(mirror) == ("one", "6")
    mirror.remove_pool(*KEY, "one")
    mirror.update_pool(a_body(version="7"))
    assert known(mirror) is None
    mirror.put_pool(a_body("two", "9"))
    mirror.update_pool(a_body(version="8"))
    assert known(mirror) == ("two", "9")


def test_what_is_left_of_a_pool_says_which_one_it_was() -> None:
    mirror = Mirror()
    mirror.put_pool(a_body())
    remains = mirror.remains(KIND, *KEY)["metadata"]
    assert mirror.remove_pool(remains["namespace"], remains["name"], remains["uid"]) == KEY


def a_pod(pool: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "a", "uid": "a", "labels": {POOL_LABEL: pool}}}


def test_a_pod_that_is_given_to_another_pool_is_that_ones_alone() -> None:
    mirror, other = Mirror(), Key("team", "other")
    assert mirror.put_pod(a_pod("vision")) == [KEY]
    assert mirror.put_pod(a_pod("vision")) == []
    assert mirror.put_pod(a_pod("other")) == [other, KEY]
    assert (mirror.pods(KEY), len(mirror.pods(other))) == ((), 1)
    assert mirror.remove_pod("team", "a") == other
    assert mirror.pods(other) == ()
    assert mirror.remove_pod("team", "a") is None
