"""Every error that imagetree raises on purpose, drawn as a tree.

    ImagetreeError                      exit  HTTP
    ├── InvalidInput                       2   422   what was given cannot be used as it is
    │   └── DamagedImage                   2   422   the bytes are not an image that can be decoded
    ├── NotFound                           3   404   no such synset, image, release, run, file
    ├── Conflict                           4   409   exists already with other content
    ├── PermissionDenied                   5   403   needs a curator's decision or another role
    ├── IntegrityFailure                   6   500   stored bytes or rows are not what they must be
    ├── OutOfSpace                         7   507   the disk is full, or memory is
    ├── ExternalFailure                    8   502   another machine or program did not do its part
    ├── Busy                               9   503   another process holds what is needed
    ├── MissingPart                       10   501   an optional part is not installed
    ├── TrainingFailure                   11   500   a run cannot go on (NaN loss, empty class)
    └── Cancelled                         12   409   stopped on request

A message says what happened and what to do next. `code` is stable and goes into JSON; the
command line and the web server each map the class once, through `exit_code` and `http_status`.
"""

from __future__ import annotations

from typing import ClassVar


class ImagetreeError(Exception):
    """Base of all errors raised on purpose.

    Example:
        >>> error = NotFound("No release 'v2'.", hint="imagetree release list birds.imagetree")
        >>> error.as_dict()["code"]
        'not_found'
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def as_dict(self) -> dict[str, str]:
        """The error as the JSON that command line and web server send."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class InvalidInput(ImagetreeError):
    """What was given cannot be used as it is; the message names the file, line or id."""

    code = "invalid_input"
    exit_code = 2
    http_status = 422


class DamagedImage(InvalidInput):
    """The bytes are not an image that can be decoded, or not one that is safe to decode.

    `reason_code` is one of the reject codes: not_an_image, truncated, too_many_pixels, ...
    """

    code = "damaged_image"

    def __init__(self, message: str, *, reason_code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason_code = reason_code


class NotFound(ImagetreeError):
    """No such synset, image, release, run or file."""

    code = "not_found"
    exit_code = 3
    http_status = 404


class Conflict(ImagetreeError):
    """The name exists already with other content, or the state does not allow it."""

    code = "conflict"
    exit_code = 4
    http_status = 409


class PermissionDenied(ImagetreeError):
    """A curator has to decide first, or the role does not allow it."""

    code = "permission_denied"
    exit_code = 5
    http_status = 403


class IntegrityFailure(ImagetreeError):
    """Stored bytes or rows are not what they must be."""

    code = "integrity_failure"
    exit_code = 6


class OutOfSpace(ImagetreeError):
    """The disk or the memory is full. What was stored before stays stored."""

    code = "out_of_space"
    exit_code = 7
    http_status = 507


class ExternalFailure(ImagetreeError):
    """Another machine or program did not do its part."""

    code = "external_failure"
    exit_code = 8
    http_status = 502


class Busy(ImagetreeError):
    """Another process holds what is needed: a lock, a port, the database."""

    code = "busy"
    exit_code = 9
    http_status = 503


class MissingPart(ImagetreeError):
    """An optional part (torch, WordNet, Chromium) is not installed; the hint says how to get it."""

    code = "missing_part"
    exit_code = 10
    http_status = 501


class TrainingFailure(ImagetreeError):
    """A run cannot go on: the loss is not a number, a class has no images."""

    code = "training_failure"
    exit_code = 11


class Cancelled(ImagetreeError):
    """Stopped on request."""

    code = "cancelled"
    exit_code = 12
    http_status = 409
