"""google-cloud-storage: a client lends endpoint and tokens; one that we do not know serves its bucket itself."""

from __future__ import annotations

from typing import Any

from . import About, Attributes

_PAGE = 1000


def lends(client: Any) -> bool:
    """Say whether a client is google-cloud-storage's own, with its own transport."""
    kind = type(client)
    if kind.__module__ != "google.cloud.storage.client" or kind.__name__ != "Client":
        return False
    transport = getattr(client, "_http_internal", None)
    return transport is None or type(transport).__module__.startswith("google.auth.")


def settings(client: Any) -> dict[str, Any]:
    """Return what the client's configuration says of endpoint and access."""
    found: dict[str, Any] = {}
    url = getattr(client._connection, "API_BASE_URL", None)
    if url and url.rstrip("/") != "https://storage.googleapis.com":
        found["endpoint_url"] = url
    if type(client._credentials).__name__ == "AnonymousCredentials":
        found["anonymous"] = True
    return found


class Lender:
    """Gives a Google client's tokens, refreshed by google-auth."""

    def __init__(self, client: Any) -> None:
        self._credentials = client._credentials

    def token(self, forced: bool) -> tuple[str, float | None] | None:
        """Return a token and when it expires, in seconds since the epoch."""
        held = self._credentials
        if forced or not held.valid:
            from google.auth.transport.requests import Request

            held.refresh(Request())
        if held.token is None:
            return None
        expires = getattr(held, "expiry", None)
        if expires is None:
            return held.token, None
        import datetime as dt

        # google-auth keeps UTC without saying so.
        return held.token, expires.replace(tzinfo=dt.timezone.utc).timestamp()


class GoogleBucket:
    """A bucket behind a client with the methods of google-cloud-storage's."""

    def __init__(self, client: Any, bucket: str, extra: dict[str, Any]) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._extra = extra
        self.label = bucket

    def head(self, name: str) -> Attributes | None:
        """Return what is known of an object, or `None`."""
        blob = self._bucket.get_blob(name)
        return None if blob is None else _attributes(blob)

    def get(self, name: str, known: str | None) -> tuple[Attributes, bytes] | bool | None:
        """Return an object. Its metadata is a request of its own with this client."""
        blob = self._bucket.get_blob(name)
        if blob is None:
            return None
        if known is not None and known == _version(blob):
            return True
        try:
            body = blob.download_as_bytes(raw_download=True)
        except Exception as error:
            if _status(error) == "missing":
                return None
            raise
        content_type, encoding, notes, _, version = _attributes(blob)
        return (content_type, encoding, notes, len(body), version), bytes(body)

    def part(self, name: str, version: str, start: int, end: int) -> bytes:
        """Return a part of an object."""
        blob = self._bucket.blob(name, generation=int(version.partition(".")[0]))
        return bytes(blob.download_as_bytes(start=start, end=end - 1, raw_download=True))

    def put(self, name: str, about: About, body: bytes, absent: bool, matches: str | None) -> bool:
        """Write an object; say whether the condition held."""
        content_type, encoding, notes = about
        key = self._extra.get("kms_key")
        blob = self._bucket.blob(name) if key is None else self._bucket.blob(name, kms_key_name=key)
        blob.metadata = notes
        blob.content_encoding = encoding
        if "storage_class" in self._extra:
            blob.storage_class = self._extra["storage_class"]
        condition: dict[str, int] = {}
        if absent:
            condition = {"if_generation_match": 0}
        elif matches:
            condition = {"if_generation_match": int(matches.partition(".")[0])}
        try:
            blob.upload_from_string(body, content_type=content_type or "application/octet-stream", **condition)
        except Exception as error:
            if condition and _status(error) == "unmet":
                return False
            raise
        return True

    def renew(self, name: str, about: About, version: str) -> bool:
        """Replace the metadata of an object."""
        generation, metageneration = version.split(".")
        blob = self._bucket.blob(name)
        blob.metadata = about[2]
        try:
            blob.patch(if_generation_match=int(generation), if_metageneration_match=int(metageneration))
        except Exception as error:
            if _status(error) in {"missing", "unmet"}:
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Delete an object."""
        try:
            self._bucket.blob(name).delete()
        except Exception as error:
            if _status(error) != "missing":
                raise

    def delete_many(self, names: list[str]) -> None:
        """Delete objects one by one."""
        failed: list[Exception] = []
        for name in names:
            try:
                self.delete(name)
            except Exception as error:  # noqa: PERF203  (the others are still to be tried)
                failed.append(error)
        if failed:
            raise failed[0]

    def list(self, prefix: str, after: str | None) -> tuple[list[str], str | None]:
        """Return a page of names."""
        blobs = self._client.list_blobs(self._bucket, prefix=prefix, start_offset=after, max_results=_PAGE + 1)
        names = [blob.name for blob in blobs if after is None or blob.name > after]
        return names, names[-1] if len(names) >= _PAGE else None


def _version(blob: Any) -> str | None:
    return None if blob.generation is None else f"{blob.generation}.{blob.metageneration or 1}"


def _attributes(blob: Any) -> Attributes:
    notes = [(name.lower(), value) for name, value in (blob.metadata or {}).items()]
    return blob.content_type, blob.content_encoding, notes, blob.size or 0, _version(blob)


def _status(error: Exception) -> str:
    """Tell what a client's exception means: `missing`, `unmet`, or another fault."""
    code = getattr(error, "code", None)
    if code == 404 or type(error).__name__ == "NotFound":  # noqa: PLR2004  (HTTP's own number)
        return "missing"
    return "unmet" if code == 412 or type(error).__name__ == "PreconditionFailed" else "fault"  # noqa: PLR2004
