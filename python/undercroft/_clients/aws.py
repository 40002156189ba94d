"""boto3: a client lends endpoint, region and credentials; one whose requests somebody intercepts serves them itself."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from . import About, Attributes, read

_PAGE = 1000
_EVENTS = ("before-send", "before-call", "before-parameter-build", "before-sign", "request-created", "choose-signer")
_OPERATIONS = ("GetObject", "PutObject")
#: Hosts of AWS that follow from the region: every other address is taken as it is.
_USUAL = re.compile(r"s3(-fips)?(\.dualstack)?([.-][a-z0-9-]+)?\.amazonaws\.com(\.cn)?")


def lends(client: Any) -> bool:
    """Say whether a client is boto3's own, and nobody stands between it and the network."""
    kind = type(client)
    if kind.__module__ != "botocore.client" or kind.__name__ != "S3":
        return False
    if (client.meta.config.s3 or {}).get("use_accelerate_endpoint"):
        return False
    emitter = getattr(client.meta.events, "_emitter", client.meta.events)
    handlers = getattr(emitter, "_handlers", None)
    if handlers is None:
        return False
    if not _reaches_the_network_plainly(client):
        return False
    events = (f"{event}.s3.{operation}" for event in _EVENTS for operation in _OPERATIONS)
    return not any(_is_foreign(handler) for event in events for handler in handlers.prefix_search(event))


def _reaches_the_network_plainly(client: Any) -> bool:
    """Say whether a client has neither a proxy nor rules of its own for certificates."""
    config = client.meta.config
    verify = getattr(getattr(client._endpoint, "http_session", None), "_verify", True)
    # Our own client trusts what these name, too.
    usual = verify is True or verify in {os.environ.get("AWS_CA_BUNDLE"), os.environ.get("REQUESTS_CA_BUNDLE")} - {None}
    return usual and not config.proxies and not config.client_cert


def intercepted() -> Any | None:
    """Return a client where somebody stands before all of botocore's requests in this process, as moto does."""
    handlers = sys.modules.get("botocore.handlers")
    builtin = getattr(handlers, "BUILTIN_HANDLERS", ())
    if not any(given[0].startswith("before-send") and _is_foreign(given[1]) for given in builtin):
        return None
    import boto3

    return boto3.client("s3")


def _is_foreign(handler: Any) -> bool:
    """Say whether a handler is not botocore's: a mock, a recorder, a stub. Those of moto say whether they are on."""
    if getattr(handler, "enabled", True) is False:
        return False
    module = getattr(handler, "__module__", None) or type(handler).__module__
    return module.split(".")[0] not in {"botocore", "boto3", "s3transfer"} or module == "botocore.stub"


def settings(client: Any) -> dict[str, Any]:
    """Return what the client's configuration says of endpoint and addresses."""
    import urllib.parse

    config = client.meta.config
    s3 = getattr(config, "s3", None) or {}
    url = client.meta.endpoint_url
    host = urllib.parse.urlsplit(url).hostname or ""
    found: dict[str, Any] = {"region": client.meta.region_name or "us-east-1"}
    if found["region"] == "aws-global":
        found["region"] = "us-east-1"
    if not _USUAL.fullmatch(host):
        found["endpoint_url"] = url
    else:
        found["use_dual_stack"] = ".dualstack." in host
        found["use_fips"] = "fips" in host
    style = s3.get("addressing_style")
    if style in {"path", "virtual"}:
        found["path_style"] = style == "path"
    if config.signature_version is sys.modules["botocore"].UNSIGNED:
        found["anonymous"] = True
    return found


class Lender:
    """Gives a boto3 client's region and credentials, refreshed by botocore where they are refreshable."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def region(self) -> str | None:
        """Return the region."""
        region: str | None = self._client.meta.region_name
        return region

    def credentials(self, forced: bool) -> tuple[str, str, str | None, float | None] | None:
        """Return key, secret, token and when they expire, in seconds since the epoch."""
        held = self._client._request_signer._credentials
        if held is None:
            message = "the boto3 client found none"
            raise LookupError(message)
        if forced and hasattr(held, "_refresh"):
            held._expiry_time = None if getattr(held, "_expiry_time", None) is None else _long_ago()
        frozen = held.get_frozen_credentials()
        expires = getattr(held, "_expiry_time", None)
        return frozen.access_key, frozen.secret_key, frozen.token, None if expires is None else expires.timestamp()


def _long_ago() -> Any:
    import datetime as dt

    return dt.datetime.fromtimestamp(0, tz=dt.timezone.utc)


class BotoBucket:
    """A bucket behind a client with the methods of boto3's."""

    def __init__(self, client: Any, bucket: str, extra: dict[str, Any]) -> None:
        self._client = client
        self._bucket = bucket
        self._extra = extra
        self.label = bucket

    def head(self, name: str) -> Attributes | None:
        """Return what is known of an object, or `None`."""
        try:
            return _attributes(self._client.head_object(Bucket=self._bucket, Key=name))
        except Exception as error:
            if _status(error) == "missing":
                return None
            raise

    def get(self, name: str, known: str | None) -> tuple[Attributes, bytes] | bool | None:
        """Return an object. Nothing is asked conditionally: not every client can."""
        del known
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
        except Exception as error:
            if _status(error) == "missing":
                return None
            raise
        body = read(answer["Body"])
        return _attributes({**answer, "ContentLength": len(body)}), body

    def part(self, name: str, version: str, start: int, end: int) -> bytes:
        """Return a part of an object."""
        answer = self._client.get_object(
            Bucket=self._bucket, Key=name, Range=f"bytes={start}-{end - 1}", IfMatch=version
        )
        return read(answer["Body"])

    def put(self, name: str, about: About, body: bytes, absent: bool, matches: str | None) -> bool:
        """Write an object; say whether the condition held."""
        condition = {"IfNoneMatch": "*"} if absent else {"IfMatch": matches} if matches else {}
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=body, **_about(about), **self._extra, **condition
            )
        except Exception as error:
            if condition and _status(error) in {"missing", "unmet"}:
                return False
            raise
        return True

    def renew(self, name: str, about: About, version: str) -> bool:
        """Copy an object onto itself with other metadata."""
        try:
            self._client.copy_object(
                Bucket=self._bucket,
                Key=name,
                CopySource={"Bucket": self._bucket, "Key": name},
                CopySourceIfMatch=version,
                MetadataDirective="REPLACE",
                **_about(about),
                **{name: value for name, value in self._extra.items() if name != "Tagging"},
            )
        except Exception as error:
            if _status(error) in {"missing", "unmet"}:
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._client.delete_object(Bucket=self._bucket, Key=name)

    def delete_many(self, names: list[str]) -> None:
        """Delete objects, a thousand with each request."""
        failed: list[Exception] = []
        for at in range(0, len(names), _PAGE):
            objects = [{"Key": name} for name in names[at : at + _PAGE]]
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            except Exception as error:  # the others are still to be tried
                failed.append(error)
                continue
            left = answer.get("Errors") or []
            failed += [OSError(f"`{found.get('Key')}` was not deleted: {found.get('Code')}") for found in left]
        if failed:
            raise failed[0]

    def list(self, prefix: str, after: str | None) -> tuple[list[str], str | None]:
        """Return a page of names."""
        start = {} if after is None else {"StartAfter": after}
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **start)
        names = [found["Key"] for found in answer.get("Contents") or []]
        return names, names[-1] if names and answer.get("IsTruncated") else None


def _about(about: About) -> dict[str, Any]:
    content_type, encoding, notes = about
    given: dict[str, Any] = {"Metadata": notes}
    if content_type is not None:
        given["ContentType"] = content_type
    if encoding is not None:
        given["ContentEncoding"] = encoding
    return given


def _attributes(answer: dict[str, Any]) -> Attributes:
    notes = [(name.lower(), value) for name, value in (answer.get("Metadata") or {}).items()]
    version = answer.get("ETag")
    return answer.get("ContentType"), answer.get("ContentEncoding"), notes, answer.get("ContentLength") or 0, version


def _status(error: Exception) -> str:
    """Tell what a client's exception means: `missing`, `unmet`, or another fault."""
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", "")) or type(error).__name__
    if code in {"404", "NoSuchKey", "NotFound"} or isinstance(error, KeyError):
        return "missing"
    return "unmet" if code in {"412", "PreconditionFailed", "ConditionalRequestConflict"} else "fault"
