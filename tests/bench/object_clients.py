"""Every client of object storage behind the same four verbs.

Each is set up as its users have it: its defaults, but for as many connections as there are threads. Modules are
imported on use, so that the process of one contender holds no other.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from .contender import UNDERCROFT
from .s3_server import ACCESS_KEY, BUCKET, REGION, SECRET_KEY

TTL = 3600
THREADS = 32

T = TypeVar("T")
Get = Callable[[str], Any]
Put = Callable[[str, bytes], object]


class Client(NamedTuple):
    """An open client; what it gets is `bytes` or another buffer."""

    get: Get
    put: Put
    get_many: Callable[[Sequence[str]], Mapping[str, Any]]
    put_many: Callable[[Mapping[str, bytes]], object]


@dataclass(frozen=True)
class ClientKind:
    """One library, or one way of using it; `open` takes the server's URL and what names begin with."""

    name: str
    package: str
    open: Callable[[str, str], Client]


def _undercroft(url: str, prefix: str) -> Client:
    store = import_module(UNDERCROFT).S3Cache(
        BUCKET,
        prefix=prefix,
        endpoint_url=url,
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        serializer="raw",
        compress=False,
        revalidate=0,
    )
    return Client(
        store.get,
        lambda key, value: store.set(key, value, TTL),
        store.get_many,
        lambda values: store.set_many(values, TTL),
    )


def _boto3(url: str, prefix: str) -> Client:
    client = boto3_client(url)

    def get(key: str) -> Any:
        return client.get_object(Bucket=BUCKET, Key=prefix + key)["Body"].read()

    def put(key: str, value: bytes) -> object:
        return client.put_object(Bucket=BUCKET, Key=prefix + key, Body=value)

    return over_threads(get, put)


def _boto3_transfer(url: str, prefix: str) -> Client:
    client = boto3_client(url)

    def get(key: str) -> bytes:
        body = BytesIO()
        client.download_fileobj(BUCKET, prefix + key, body)
        return body.getvalue()

    def put(key: str, value: bytes) -> object:
        return client.upload_fileobj(BytesIO(value), BUCKET, prefix + key)

    return over_threads(get, put)


def _obstore(url: str, prefix: str) -> Client:
    obstore: Any = import_module("obstore")
    store = import_module("obstore.store").S3Store(
        BUCKET,
        endpoint=url,
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )
    return over_threads(
        lambda key: obstore.get(store, prefix + key).bytes(),
        lambda key, value: obstore.put(store, prefix + key, value),
    )


def _minio(url: str, prefix: str) -> Client:
    client = import_module("minio").Minio(
        urlsplit(url).netloc,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region=REGION,
        secure=False,
        http_client=import_module("urllib3").PoolManager(maxsize=THREADS),
    )

    def get(key: str) -> Any:
        with client.get_object(BUCKET, prefix + key) as answer:
            return answer.read()

    def put(key: str, value: bytes) -> object:
        return client.put_object(BUCKET, prefix + key, BytesIO(value), len(value))

    return over_threads(get, put)


def _http_client(url: str, prefix: str) -> Client:
    """A connection without S3 on it: the address of each object is signed once, by boto3."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    signer = boto3_client(url)
    signed: dict[str, str] = {}

    def get(key: str) -> bytes:
        if key not in signed:
            signed[key] = presigned(signer, prefix + key).removeprefix(url)
        connection.request("GET", signed[key])
        return connection.getresponse().read()

    return over_threads(get, unable)


def over_threads(get: Get, put: Put) -> Client:
    """Makes many of one: each thread of a pool goes through its share, which costs less than a task for every key."""
    pool = ThreadPoolExecutor(THREADS)

    def get_share(keys: Sequence[str]) -> list[tuple[str, Any]]:
        return [(key, get(key)) for key in keys]

    def put_share(entries: Sequence[tuple[str, bytes]]) -> None:
        for key, value in entries:
            put(key, value)

    def get_many(keys: Sequence[str]) -> dict[str, Any]:
        return {key: value for share in pool.map(get_share, shares(keys)) for key, value in share}

    def put_many(values: Mapping[str, bytes]) -> None:
        list(pool.map(put_share, shares(list(values.items()))))  # the list waits for all and raises what one raised

    return Client(get, put, get_many, put_many)


def shares(everything: Sequence[T]) -> list[Sequence[T]]:
    """Deals out to all threads."""
    return [everything[at::THREADS] for at in range(THREADS)]


def unable(key: str, _: bytes) -> object:
    """Stands for the verb that a bare client lacks."""
    raise NotImplementedError(f"{key}: nothing but get")


def boto3_client(url: str) -> Any:
    """Returns the client of boto3 with a connection for each thread."""
    return import_module("boto3").client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=import_module("botocore.config").Config(signature_version="s3v4", max_pool_connections=THREADS),
    )


def presigned(signer: Any, name: str) -> str:
    """Returns an address at which anybody may get the object for an hour."""
    url: str = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": name}, ExpiresIn=3600)
    return url


OURS = ClientKind("undercroft", UNDERCROFT, _undercroft)
BOTO3 = ClientKind("boto3", "boto3", _boto3)
BOTO3_TRANSFER = ClientKind("boto3 transfer manager", "boto3", _boto3_transfer)
OBSTORE = ClientKind("obstore", "obstore", _obstore)
MINIO = ClientKind("minio", "minio", _minio)
HTTP_CLIENT = ClientKind("http.client, signed once", "", _http_client)
CLIENTS = (OURS, BOTO3, BOTO3_TRANSFER, OBSTORE, MINIO, HTTP_CLIENT)
