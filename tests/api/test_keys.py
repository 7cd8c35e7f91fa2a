from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.api.middleware.api_keys import (
    RELOAD_S,
    Keyring,
    LiveKeys,
    UnusableKeys,
    keyring,
    new_key,
)
from service.settings import Settings


def test_a_new_key_is_known_by_its_line_alone() -> None:
    key, line = new_key("alice")
    assert line == f"alice:{hashlib.sha256(key.encode()).hexdigest()}"
    known = keyring(Settings(keys=line))
    assert known.owner(key.encode()) == "alice"
    assert known.owner(key.encode() + b"x") is None
    assert known.owner(line.encode()) is None
    assert key not in repr(Settings(keys=line)) + line


def test_keys_differ_and_are_long() -> None:
    keys = {new_key("a")[0] for _ in range(100)}
    assert len(keys) == 100
    assert min(map(len, keys)) >= len("descent_") + 43  # 256 bits


def test_a_file_and_the_environment_hold_keys(tmp_path: Path) -> None:
    (old, first), (new, second), (other, third) = new_key("a"), new_key("a"), new_key("b")
    path = tmp_path / "keys"
    path.write_text(f"# ours\n{first}\n\n  {second}  # since May\n")
    known = keyring(Settings(keys=third, keys_file=path))
    assert [known.owner(k.encode()) for k in (old, new, other)] == ["a", "a", "b"]


def test_no_settings_are_no_keys() -> None:
    assert not keyring(Settings())
    assert Keyring().owner(b"") is None


def test_every_digest_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a key takes says nothing of where in the file it is, or of how near it was."""
    import hmac

    compared = []
    real = hmac.compare_digest

    def counted(a: str, b: str) -> bool:
        compared.append(b)
        return real(a, b)

    pairs = [new_key(name) for name in "abc"]
    known = keyring(Settings(keys=",".join(line for _, line in pairs)))
    monkeypatch.setattr("service.api.middleware.api_keys.hmac.compare_digest", counted)
    for key, _ in pairs:
        compared.clear()
        known.owner(key.encode())
        assert len(compared) == 3


@pytest.mark.parametrize("content", ["", "alice", "alice:123", "a b:" + "0" * 64, "descent_secret"])
def test_a_file_that_is_none_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(UnusableKeys) as refused:
        keyring(Settings(keys_file=path))
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableKeys, match="DESCENT_KEYS_FILE"):
        keyring(Settings(keys_file=tmp_path / "none"))


@pytest.mark.parametrize("name", ["", "a b", "-a", "a:b", "a" * 65, "a\nb"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(UnusableKeys):
        new_key(name)


class Looks:
    """A clock that is moved on by hand."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    (old, first), (new, second) = new_key("alice"), new_key("bob")
    path, clock = tmp_path / "keys", Looks()
    path.write_text(f"{first}\n")
    keys = LiveKeys(Settings(keys_file=path), clock)
    assert keys.owner(old.encode()) == "alice"
    path.write_text(f"{second}  # alice has left\n")
    for _ in range(2):  # for less than two seconds more
        assert keys.owner(old.encode()) == "alice"
        clock.at += RELOAD_S
    assert keys.owner(old.encode()) is None
    assert keys.owner(new.encode()) == "bob"


@pytest.mark.parametrize("slip", ["", "# none\n", "alice:123", None, b"\xff\xfe"])
def test_a_slip_in_the_file_changes_nothing(
    tmp_path: Path, slip: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    key, line = new_key("alice")
    path, clock = tmp_path / "keys", Looks()
    path.write_text(line)
    keys = LiveKeys(Settings(keys_file=path), clock)
    if slip is None:
        path.unlink()
    elif isinstance(slip, bytes):
        path.write_bytes(slip)
    else:
        path.write_text(slip)
    for _ in range(2):
        clock.at += RELOAD_S
        assert keys.owner(key.encode()) == "alice"
    assert "the keys stay as they were" in caplog.text
    path.write_text("# new\n" + line.replace("alice", "bob"))
    for _ in range(2):
        keys.owner(key.encode())
        clock.at += RELOAD_S
    assert keys.owner(key.encode()) == "bob"


def test_a_file_is_looked_at_once_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, line = new_key("alice")
    path, clock = tmp_path / "keys", Looks()
    path.write_text(line)
    keys, real = LiveKeys(Settings(keys_file=path), clock), Path.stat
    looked: list[Path] = []

    def stat(self: Path) -> os.stat_result:
        looked.append(self)
        return real(self)

    monkeypatch.setattr(Path, "stat", stat)
    for _ in range(30):
        clock.at += RELOAD_S / 10
        keys.owner(key.encode())
    assert 2 <= len(looked) <= 4


def test_a_file_that_is_being_rewritten_is_not_read(tmp_path: Path) -> None:
    """In place, a line at a time: none of those who keep their keys is shut out meanwhile."""
    made = [new_key(name) for name in ("alice", "bob", "carol")]
    path, clock = tmp_path / "keys", Looks()
    path.write_text("\n".join(line for _, line in made))
    keys = LiveKeys(Settings(keys_file=path), clock)
    with path.open("w") as file:
        for _, line in [*made, new_key("dave")]:
            file.write(f"{line}\n")
            file.flush()
            clock.at += RELOAD_S
            assert [keys.owner(key.encode()) for key, _ in made] == ["alice", "bob", "carol"]
    clock.at += RELOAD_S
    keys.owner(b"")
    assert len(keys._ring.known) == 4


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    key, line = new_key("a")
    path = tmp_path / "keys"
    path.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")
    assert keyring(Settings(keys_file=path)).owner(key.encode()) == "a"


def test_one_key_has_one_name() -> None:
    line = new_key("a")[1]
    assert len(keyring(Settings(keys=f"{line},{line}")).known) == 1
    with pytest.raises(UnusableKeys, match="'a' and 'b' have the same key"):
        keyring(Settings(keys=f"{line},b{line[1:]}"))


def test_a_change_shows_though_the_mtime_was_set_back(tmp_path: Path) -> None:
    (old, first), (new, second) = new_key("a"), new_key("a")
    path, now = tmp_path / "keys", [0.0]
    path.write_text(first)
    live, before = LiveKeys(Settings(keys_file=path), lambda: now[0]), path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # a clock of the kernel's, of some ms
        path.write_text(second)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        now[0] += RELOAD_S
        live.owner(new.encode())
    assert (live.owner(old.encode()), live.owner(new.encode())) == (None, "a")
