"""Takes the clock and the random number out of the files libsndfile writes, so that equal audio is equal bytes."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from mutagen.ogg import OggPage


def remove_peak_time(file: BinaryIO) -> None:
    """Zero the time of writing in the PEAK chunk that libsndfile puts into a float WAV.

    A chunk is a four-letter id, a little-endian 32-bit size and a body padded to even length; PEAK's body begins
    with a version and a time in seconds, 32 bits each.
    """
    file.seek(len(b"RIFF....WAVE"))
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        if name == b"PEAK":
            file.seek(4, os.SEEK_CUR)
            file.write(bytes(4))
            return
        file.seek(size + size % 2, os.SEEK_CUR)


def set_ogg_serial(file: BinaryIO, serial: int) -> None:
    """Give the one stream of an Ogg file this 32-bit serial number in place of libsndfile's random one.

    Raises mutagen.MutagenError when the file ends within a page.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < end:
        start = file.tell()
        page = OggPage(file)
        page.serial = serial
        file.seek(start)
        file.write(page.write())
