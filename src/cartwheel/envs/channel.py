"""Messages between a study and the process of an environment: a JSON header and raw bytes, over a socket.

Nothing that is received is run: a header is numbers and text, the bytes are float32.
"""

import json
import math
import socket
import struct
from typing import Any

_LENGTHS = struct.Struct(">II")
MAX_BYTES = 2**26
"""Of a header, and of what follows it. Longer is nonsense: the longest of vectors has a few thousand numbers."""

_WAIT_S = 0.5


class Broken(Exception):
    """The other side has gone, or does not keep to the form."""


class Channel:
    """One end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, header: dict[str, Any], data: bytes = b"") -> None:
        """Raises Broken if nobody is there to receive it."""
        text = json.dumps(header).encode()
        try:
            self._end.sendall(_LENGTHS.pack(len(text), len(data)) + text + data)
        except OSError as error:
            raise Broken(str(error)) from error

    def receive(self, timeout_s: float = math.inf) -> tuple[dict[str, Any], bytes]:
        """The next message. Raises TimeoutError if nothing comes for so long, Broken if nothing ever will.

        Time in which this process is stopped does not count.
        """
        header_bytes, data_bytes = _LENGTHS.unpack(self._exactly(_LENGTHS.size, timeout_s))
        if max(header_bytes, data_bytes) > MAX_BYTES:
            raise Broken("a message is too long")
        text, data = self._exactly(header_bytes, timeout_s), self._exactly(data_bytes, timeout_s)
        try:
            header = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Broken("a message is not JSON") from error
        if not isinstance(header, dict):
            raise Broken("a message has no header")
        return header, data

    def close(self) -> None:
        self._end.close()

    def _exactly(self, num_bytes: int, timeout_s: float) -> bytes:
        parts, left_s = bytearray(), timeout_s
        while len(parts) < num_bytes:
            if left_s <= 0:
                raise TimeoutError
            # a clock goes on while a process is stopped: short waits are counted instead
            wait_s = min(left_s, _WAIT_S)
            self._end.settimeout(wait_s)
            try:
                part = self._end.recv(num_bytes - len(parts))
            except TimeoutError:
                left_s -= wait_s
                continue
            except OSError as error:
                raise Broken(str(error)) from error
            if not part:
                raise Broken("it has gone")
            parts += part
        return bytes(parts)
