"""SQLite's own steps on disk: the methods of its file layer (VFS), replaced through ctypes.

That needs no privilege and no compiler, only a Python whose sqlite3 shows the symbols of SQLite: one that is linked to
the shared library, as those of distributions are. Structures: https://www.sqlite.org/c3ref/vfs.html, io_methods.html.
"""

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

FULL, CANTOPEN = 13, 14
IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = 778, 1034, 1546, 2570
OPEN_READONLY = 1
NUM_METHODS = {1: 13, 2: 17, 3: 19}
"""Words of ``sqlite3_io_methods``, by its version, which is the first of them."""

_File, _Int = ctypes.c_void_p, ctypes.c_int
# a path goes through as an address: SQLite keeps it, and finds more of its own behind it
OPEN = ctypes.CFUNCTYPE(_Int, ctypes.c_void_p, ctypes.c_void_p, _File, _Int, ctypes.c_void_p)
DELETE = ctypes.CFUNCTYPE(_Int, ctypes.c_void_p, ctypes.c_void_p, _Int)
WRITE = ctypes.CFUNCTYPE(_Int, _File, ctypes.c_void_p, _Int, ctypes.c_int64)
TRUNCATE = ctypes.CFUNCTYPE(_Int, _File, ctypes.c_int64)
SYNC = ctypes.CFUNCTYPE(_Int, _File, _Int)
METHODS: dict[int, tuple[str, Any, int]] = {
    3: ("write", WRITE, IOERR_WRITE),
    4: ("truncate", TRUNCATE, IOERR_TRUNCATE),
    5: ("sync", SYNC, IOERR_FSYNC),
}
"""Place in ``sqlite3_io_methods``, name, type, and what SQLite is told when it fails."""

Take = Callable[[str, Callable[[], int]], int]
_kept: list[Any] = []
"""What C points to must not be collected."""


class _Vfs(ctypes.Structure):
    """The beginning of ``sqlite3_vfs``."""

    _fields_ = (
        ("version", _Int),
        ("file_size", _Int),
        ("max_path", _Int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", OPEN),
        ("delete", DELETE),
    )


def missing() -> str:
    """Why SQLite's steps cannot be taken here; empty if they can."""
    return "" if hasattr(_library(), "sqlite3_vfs_find") else "this Python's sqlite3 hides the symbols of SQLite"


def install(take: Take) -> None:
    """Send every step of SQLite in this process through ``take(name, step)``, which may raise OSError."""
    if missing():
        return
    find = _library().sqlite3_vfs_find
    find.restype, find.argtypes = ctypes.POINTER(_Vfs), [ctypes.c_char_p]
    vfs = find(None).contents
    # the addresses of today, in objects of their own: those of the structure follow its changes
    open_, delete = (
        type_(ctypes.cast(method, ctypes.c_void_p).value) for type_, method in ((OPEN, vfs.open), (DELETE, vfs.delete))
    )
    names: dict[int, str] = {}
    methods: dict[int, int] = {}

    def opened(vfs_: int, path: int | None, file: int, flags: int, out: int) -> int:
        name = "temporary" if path is None else _name(path)
        names[file] = name
        step = lambda: int(open_(vfs_, path, file, flags, out))  # noqa: E731 - one of two ways to take it
        result = step() if flags & OPEN_READONLY else _code(take, f"sqlite open {name}", step, CANTOPEN)
        if result == 0:
            table = ctypes.c_void_p.from_address(file)
            assert table.value is not None
            if table.value not in methods:
                methods[table.value] = _replaced(table.value, names, take)
            table.value = methods[table.value]
        return result

    def deleted(vfs_: int, path: int, is_synced: int) -> int:
        return _code(take, f"sqlite delete {_name(path)}", lambda: int(delete(vfs_, path, is_synced)), IOERR_DELETE)

    vfs.open, vfs.delete = callbacks = OPEN(opened), DELETE(deleted)
    _kept.append((callbacks, open_, delete))


def _replaced(table: int, names: dict[int, str], take: Take) -> int:
    """The address of a copy of a table of methods, those of ``METHODS`` replaced."""
    num = NUM_METHODS[_Int.from_address(table).value]
    copy = (ctypes.c_void_p * num).from_buffer_copy((ctypes.c_void_p * num).from_address(table))
    for place, (name, type_, error) in METHODS.items():
        callback = _callback(name, type_, error, type_(copy[place]), names, take)
        copy[place] = ctypes.cast(callback, ctypes.c_void_p).value
        _kept.append(callback)
    _kept.append(copy)
    return ctypes.addressof(copy)


def _callback(name: str, type_: Any, error: int, method: Any, names: dict[int, str], take: Take) -> Any:
    def step(file: int, *rest: int) -> int:
        return _code(take, f"sqlite {name} {names[file]}", lambda: int(method(file, *rest)), error)

    return type_(step)


def _code(take: Take, name: str, step: Callable[[], int], error: int) -> int:
    """What SQLite is told: exceptions cannot pass through C."""
    try:
        return take(name, step)
    except OSError as caught:
        return FULL if caught.errno == errno.ENOSPC and error == IOERR_WRITE else error


def _name(path: int) -> str:
    return os.path.basename(os.fsdecode(ctypes.string_at(path)))


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(getattr(_sqlite3, "__file__", None))
