"""From a file's bytes to clean UTF-8, as a stream: gzip, any encoding Python knows, the byte order mark.

Nothing here knows about rows or columns. Faults of the bytes are raised as an IntakeError that quarantines the file.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from klantspoor.errors import IntakeError, UnavailableError

CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = "\ufeff"


def byte_chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked if its name ends in .gz, at most `CHUNK_BYTES` at a time.

    Raises:
        IntakeError: `unreadable_file`: a gzip that is truncated, corrupt or none at all.
        UnavailableError: the system cannot read it.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with path.open("rb") as file:
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=file) if packed else file)
            first = stream.read(CHUNK_BYTES)
            if not packed and first.startswith(_GZIP_MAGIC):
                raise IntakeError(
                    "unreadable_file", "it is gzip, but its name does not end in .gz; deliver it as NAME.gz"
                )
            yield first
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except EOFError:
        raise IntakeError(
            "unreadable_file", "the gzip ends too early: the file was cut off; deliver it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise IntakeError("unreadable_file", "the gzip is corrupt; deliver it again") from None
    except OSError as error:
        raise unavailable(error) from None


def unavailable(error: OSError) -> UnavailableError:
    """What to raise where the system, and not what the file holds, stops its reading."""
    return UnavailableError(f"it cannot be read: {error.strerror}; left for the next night")


def text_chunks(path: Path, encoding: str) -> Iterator[str]:
    """The file's text in chunks of about a million characters, without a byte order mark.

    Raises:
        IntakeError: `unreadable_file` (see `byte_chunks`), `empty_file`, or `wrong_encoding` with the place of the
            first byte that does not fit.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        raise IntakeError(
            "wrong_encoding", f"Python knows no encoding {encoding!r}; write one such as utf-8 or windows-1252"
        ) from None
    place, begun = 0, False
    for chunk, last in _with_last(byte_chunks(path)):
        try:
            text = decoder.decode(chunk, last)
            text.encode()  # a decoder may give half surrogates, which no table can hold
        except UnicodeError as error:
            raise _wrong_encoding(error, encoding, place, len(chunk)) from None
        place += len(chunk)
        if not begun and text:
            begun, text = True, text.removeprefix(_BOM)
        if text:
            yield text
    if place == 0:
        raise IntakeError("empty_file", "it holds nothing, not even a header; deliver it again")


def _with_last(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk, and at the end an empty one that is the last: decoders want to know."""
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _wrong_encoding(error: UnicodeError, encoding: str, place: int, length: int) -> IntakeError:
    where = ""
    if isinstance(error, UnicodeDecodeError):
        offset = max(0, place + length - len(error.object) + error.start)
        where = f" at byte {offset} (0x{error.object[error.start]:02x})"
    return IntakeError(
        "wrong_encoding",
        f"it is not {encoding}{where}; set the reader's encoding to the one it has, such as utf-8 or windows-1252",
    )


class Utf8File(io.RawIOBase):
    """Text chunks as a readable binary file in UTF-8, for libraries that want one."""

    def __init__(self, chunks: Iterator[str]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills `buffer` with the next bytes; 0 at the end."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk.encode())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
