"""DNS messages (RFC 1035), as far as answering for a few names needs them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["A", "ANY", "PTR", "Question", "answer", "failure", "name_data", "parse_question"]

A, PTR, ANY = 1, 12, 255
_HEAD = struct.Struct("!HHHHHH")
_RESPONSE, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0100, 0x0080
_IN = 1
_TTL = 600  # seconds, as docker's


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: ``name`` in lower case without its last dot; ``raw`` is the question's section as it came."""

    id: int
    flags: int
    name: str
    kind: int
    raw: bytes


def parse_question(message: bytes) -> Question | None:
    """None for what is not one ordinary question."""
    if len(message) < _HEAD.size:
        return None
    identity, flags, count, _, _, _ = _HEAD.unpack_from(message)
    if flags & (_RESPONSE | _OPCODE) or count != 1:
        return None
    labels, at = [], _HEAD.size
    while at < len(message) and message[at]:
        size = message[at]
        if size > 63:
            return None
        labels.append(message[at + 1 : at + 1 + size].decode("ascii", "replace").lower())
        at += 1 + size
    end = at + 5
    if end > len(message):
        return None
    kind, of = struct.unpack_from("!HH", message, at + 1)
    if of != _IN:
        return None
    return Question(identity, flags, ".".join(labels), kind, message[_HEAD.size : end])


def answer(question: Question, addresses: Sequence[bytes] = (), *, kind: int = A) -> bytes:
    """The answer with these data (packed addresses, or a name for PTR); none says "there is no such record"."""
    # 0xC00C: the name is the one that stands at byte 12, in the question.
    records = [struct.pack("!HHHIH", 0xC00C, kind, _IN, _TTL, len(data)) + data for data in addresses]
    return _head(question, 0, len(records)) + question.raw + b"".join(records)


def name_data(name: str) -> bytes:
    """A name as PTR holds it."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def failure(question: Question, code: int = 2) -> bytes:
    """SERVFAIL (2) or another error."""
    return _head(question, code, 0) + question.raw


def _head(question: Question, code: int, answers: int) -> bytes:
    flags = _RESPONSE | _RECURSION_AVAILABLE | (question.flags & _RECURSION_DESIRED) | code
    return _HEAD.pack(question.id, flags, 1, answers, 0, 0)
