"""Errors: one class for each code of the core, and each also the built-in error people expect."""

from __future__ import annotations

from typing import ClassVar


class CacheError(Exception):
    """Something went wrong in a cache.

    Attributes:
        code: What went wrong, as every language calls it.
        message: A sentence about it.
        tier: The name of the tier that failed, if one did.
        retryable: Whether the same call may succeed if it is made again.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, tier: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tier = tier

    def __str__(self) -> str:
        return self.message if self.tier is None else f"{self.message} (tier `{self.tier}`)"

    def __reduce__(self) -> tuple[type[CacheError], tuple[str, str | None]]:
        return type(self), (self.message, self.tier)


class ConfigInvalid(CacheError, ValueError):
    """The configuration is not valid."""

    code = "config_invalid"


class KeyInvalid(CacheError, ValueError):
    """The key is empty, too long, or holds a control character."""

    code = "key_invalid"


class Unsupported(CacheError, NotImplementedError):
    """The tier cannot do this operation, or cannot read or write this codec."""

    code = "unsupported"


class Denied(CacheError, PermissionError):
    """The credentials or permissions are missing, expired or too weak."""

    code = "denied"


class Conflict(CacheError, RuntimeError):
    """A conditional write lost to another writer, or a load waits for itself."""

    code = "conflict"


class TooLarge(CacheError, ValueError):
    """The value is larger than the tier accepts."""

    code = "too_large"


class Unavailable(CacheError, ConnectionError):
    """The tier cannot be reached, or answered with a server error."""

    code = "unavailable"
    retryable = True


class Timeout(CacheError, TimeoutError):
    """The tier or the loader did not answer in time."""

    code = "timeout"
    retryable = True


class Throttled(CacheError, ConnectionError):
    """The tier asked the caller to slow down."""

    code = "throttled"
    retryable = True


class Corrupt(CacheError, ValueError):
    """The stored bytes are not a valid entry."""

    code = "corrupt"


class LeaseLost(CacheError, RuntimeError):
    """The lease was superseded before it was fulfilled."""

    code = "lease_lost"


class Closed(CacheError, RuntimeError):
    """The cache was closed."""

    code = "closed"


class Internal(CacheError, RuntimeError):
    """A defect in this library."""

    code = "internal"


BY_CODE: dict[str, type[CacheError]] = {
    error.code: error
    for error in (
        ConfigInvalid,
        KeyInvalid,
        Unsupported,
        Denied,
        Conflict,
        TooLarge,
        Unavailable,
        Timeout,
        Throttled,
        Corrupt,
        LeaseLost,
        Closed,
        Internal,
    )
}
