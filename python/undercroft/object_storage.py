"""Object storage: S3, whatever speaks its protocol, and Google Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _native
from ._clients import aws, google
from .errors import ConfigInvalid
from .stores import Store

if TYPE_CHECKING:
    from typing_extensions import Self


class S3Cache(Store):
    """A bucket of S3, or of a service that speaks its protocol. The key of an object is exactly `prefix + key`.

    The value is the object's body, deadlines and serializer are its metadata: other tools see plain content, and a
    reader needs no settings. What is expired is not downloaded, `exists` is a HEAD, and a value that this process has
    read before is confirmed, not sent again.

    Args:
        bucket: Name of the bucket.
        prefix: Stands before every key, `cache/` for example.
        s3_client: A boto3 client. It lends endpoint, region and credentials, which keep refreshing. A client that is
            not boto3's, or whose requests are intercepted (moto, stubs), is called instead.
        serializer: `"pickle"`, `"json"`, `"msgpack"`, `"raw"`, or an object with `dumps` and `loads`.
        compress: Whether values are compressed: `True` for gzip, its level, or `"zstd"`.
        compress_level: 1 to 9 for gzip (6 by default), 1 to 19 for zstd (1 by default).
        dedupe_writes: Whether a value that is there already is left, and its deadlines renewed in place.
        endpoint_url: Address of a service that is not AWS.
        region: Region of the bucket; a bucket that lies elsewhere is followed.
        access_key_id: Id of an access key. Without one, credentials come from the environment, profiles, SSO, web
            identity, containers and instances, as with AWS's own tools.
        secret_access_key: Its secret.
        session_token: Session token of temporary credentials.
        **options: `profile`, `anonymous`, `path_style`, `use_fips`, `use_dual_stack`, `storage_class`, `sse`,
            `kms_key`, `request_payer`, `tags`, `concurrency` (32), `revalidate` (bytes of copies to confirm, 16 MiB; 0
            for none), `prices`, `max_value`, `timeout` (5 s), `retries` (3), `backoff`, `breaker` (10), `cooldown`,
            `on_error`.

    Raises:
        ConfigInvalid: An option is unknown or not valid; the message names it.

    Example:
        >>> store = S3Cache("my-bucket", prefix="reports/", region="eu-west-1")  # doctest: +SKIP
        >>> store.set("2026-01-01", {"total": 7}, ttl=3600)  # doctest: +SKIP
    """

    def __new__(  # noqa: D102
        cls,
        bucket: str,
        prefix: str = "",
        s3_client: Any = None,
        serializer: Any = "pickle",
        compress: bool | int | str = True,
        compress_level: int | None = None,
        dedupe_writes: bool = False,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        **options: Any,
    ) -> Self:
        given = {
            **_shape("s3", bucket, prefix, compress, compress_level, dedupe_writes),
            "endpoint_url": endpoint_url,
            "region": region,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "session_token": session_token,
            **options,
        }
        if s3_client is None and access_key_id is None and endpoint_url is None:
            s3_client = aws.intercepted()
        if s3_client is None:
            return super().__new__(cls, [_tier(given, serializer)])
        if aws.lends(s3_client):
            lent = {**aws.settings(s3_client), **_given(given)}
            return super().__new__(cls, [_tier(lent, serializer, lender=aws.Lender(s3_client))])
        named = {
            "StorageClass": options.get("storage_class"),
            "ServerSideEncryption": options.get("sse"),
            "SSEKMSKeyId": options.get("kms_key"),
            "RequestPayer": "requester" if options.get("request_payer") else None,
            "Tagging": _query(options.get("tags")),
        }
        extra = {name: value for name, value in named.items() if value is not None}
        return super().__new__(cls, [_tier(given, serializer, bucket=aws.BotoBucket(s3_client, bucket, extra))])


class GCSCache(Store):
    """A bucket of Google Cloud Storage. The name of an object is exactly `prefix + key`; see `S3Cache` for the rest.

    Args:
        bucket: Name of the bucket.
        prefix: Stands before every key, `cache/` for example.
        client: A `google.cloud.storage.Client`. It lends endpoint and tokens, which keep refreshing; a client that is
            not Google's own is called instead.
        serializer: `"pickle"`, `"json"`, `"msgpack"`, `"raw"`, or an object with `dumps` and `loads`.
        compress: Whether values are compressed: `True` for gzip, its level, or `"zstd"`.
        compress_level: 1 to 9 for gzip (6 by default), 1 to 19 for zstd (1 by default).
        dedupe_writes: Whether a value that is there already is left, and its deadlines renewed in place.
        endpoint_url: Address of an emulator or a private endpoint; `STORAGE_EMULATOR_HOST` is heeded.
        credentials: Path of a service account's file. Without one, the application default credentials are used.
        token: An access token.
        **options: `anonymous`, `user_project`, `storage_class`, `kms_key`, `concurrency`, `revalidate`, `prices`,
            `max_value`, `timeout`, `retries`, `backoff`, `breaker`, `cooldown`, `on_error`.

    Raises:
        ConfigInvalid: An option is unknown or not valid; the message names it.
    """

    def __new__(  # noqa: D102
        cls,
        bucket: str,
        prefix: str = "",
        client: Any = None,
        serializer: Any = "pickle",
        compress: bool | int | str = True,
        compress_level: int | None = None,
        dedupe_writes: bool = False,
        *,
        endpoint_url: str | None = None,
        credentials: str | None = None,
        token: str | None = None,
        **options: Any,
    ) -> Self:
        given = {
            **_shape("gs", bucket, prefix, compress, compress_level, dedupe_writes),
            "endpoint_url": endpoint_url,
            "credentials": credentials,
            "token": token,
            **options,
        }
        if client is None:
            return super().__new__(cls, [_tier(given, serializer)])
        extra = _given({name: options.get(name) for name in ("storage_class", "kms_key")})
        if google.lends(client):
            lent = {**google.settings(client), **_given(given)}
            return super().__new__(cls, [_tier(lent, serializer, lender=google.Lender(client))])
        return super().__new__(cls, [_tier(given, serializer, bucket=google.GoogleBucket(client, bucket, extra))])


def _shape(
    scheme: str, bucket: str, prefix: str, compress: bool | int | str, level: int | None, dedupe: bool
) -> dict[str, Any]:
    """Return the settings that both services share."""
    if not isinstance(bucket, str) or not bucket:
        message = "`bucket` must be the name of a bucket"
        raise ConfigInvalid(message)
    squeeze: Any = compress
    if level is not None and (compress is True or compress == "gzip"):
        if level not in range(1, 10):
            message = f"`compress_level` must be from 1 to 9, not {level}"
            raise ConfigInvalid(message)
        squeeze = level
    elif level is not None and compress == "zstd":
        squeeze = f"zstd:{level}"
    return {"url": f"{scheme}://{bucket}", "prefix": prefix, "compress": squeeze, "dedupe": dedupe}


def _query(tags: Any) -> str | None:
    """Return tags as S3 takes them: as the query of a URL."""
    if not tags or isinstance(tags, str):
        return tags or None
    import urllib.parse

    return urllib.parse.urlencode(tags)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _tier(settings: dict[str, Any], serializer: Any, *, lender: Any = None, bucket: Any = None) -> _native.Tier:
    import json

    try:
        text = json.dumps(_given(settings))
    except TypeError as error:
        raise ConfigInvalid(str(error)) from error
    serializer = "pickle" if serializer is None else serializer
    return _native.Tier.object(text, serializer=serializer, lender=lender, bucket=bucket)
