"""Clients of users: what they lend, and what happens with those that we do not know."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.session import get_session
from botocore.stub import Stubber
from buckets import fresh_bucket, open_store
from proxy import Answer, Proxy
from undercroft import GCSCache, S3Cache, TTLCache, errors


def boto_client(server, url: str | None = None):
    return boto3.client(
        "s3",
        endpoint_url=url or server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.mark.parametrize("name", ["moto", "s3s"])
def test_a_boto3_client_lends_endpoint_and_credentials(request, name):
    server = request.getfixturevalue(name)
    bucket = fresh_bucket(server)
    with Proxy(server.url) as proxy:
        client = boto_client(server, url=proxy.url)
        store = S3Cache(bucket=bucket, prefix="prod/users/", s3_client=client, serializer="json")
        store.set("7", {"id": 7}, ttl=60)

        assert store.get("7") == {"id": 7}
        assert all("undercroft" in seen.headers["user-agent"] for seen in proxy.log)

    found = boto_client(server).get_object(Bucket=bucket, Key="prod/users/7")
    assert json.loads(found["Body"].read()) == {"id": 7}
    assert found["ContentType"] == "application/json"
    assert found["Metadata"]["ac-codec"] == "json"


def test_an_unsigned_client_lends_nothing(moto):
    from botocore import UNSIGNED

    with Proxy(moto.url) as proxy:
        client = boto3.client(
            "s3", endpoint_url=proxy.url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
        )
        S3Cache("public", s3_client=client).get("k")

        assert "authorization" not in proxy.log[0].headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, {"use_dual_stack": False, "use_fips": False}),
        ("https://s3.eu-west-1.amazonaws.com", {"use_dual_stack": False, "use_fips": False}),
        ("https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com", "the address"),
        ("http://localhost:9000", "the address"),
    ],
)
def test_the_address_of_a_client_is_kept(url, expected):
    from undercroft._clients import aws

    client = boto3.client(
        "s3", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    found = aws.settings(client)

    assert found.pop("region") == "eu-west-1"
    assert found == ({"endpoint_url": url} if expected == "the address" else expected)


def test_a_client_with_rules_of_its_own_is_called():
    from undercroft._clients import aws

    keys = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    signed = boto3.client("s3", **keys)
    signed.meta.events.register("before-sign.s3", lambda **_: None)

    assert aws.lends(boto3.client("s3", **keys))
    assert not aws.lends(signed)
    assert not aws.lends(boto3.client("s3", verify=False, **keys))
    assert not aws.lends(boto3.client("s3", config=Config(proxies={"https": "http://proxy:1"}), **keys))


def test_refreshable_credentials_keep_refreshing(s3s):
    refreshed = []

    def refresh():
        refreshed.append(time.time())
        # What soon expires is asked for again before it does.
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
        return {
            "access_key": s3s.access_key,
            "secret_key": s3s.secret_key,
            "token": None,
            "expiry_time": expires.isoformat(),
        }

    session = get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    client = boto3.Session(botocore_session=session).client("s3", endpoint_url=s3s.url, region_name="us-east-1")
    store = S3Cache(fresh_bucket(s3s), s3_client=client, on_error="raise")

    store.set("k", 1)
    before = len(refreshed)
    assert store.get("k") == 1

    assert len(refreshed) > before


def test_a_token_that_expires_in_mid_run_is_replaced(moto):
    bucket, tokens = fresh_bucket(moto), []

    def refresh():
        tokens.append(f"token-{len(tokens)}")
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        return {"access_key": "id", "secret_key": "secret", "token": tokens[-1], "expiry_time": expires.isoformat()}

    session = get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    with Proxy(moto.url) as proxy:
        client = boto3.Session(botocore_session=session).client("s3", endpoint_url=proxy.url, region_name="us-east-1")
        store = S3Cache(bucket, s3_client=client, on_error="raise", retries=0)
        store.set("k", 1)
        expired = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        proxy.fault(Answer(400, {}, expired), times=1)

        assert store.get("k") == 1

        sent = [seen.headers["x-amz-security-token"] for seen in proxy.log]
        assert sent == ["token-0", "token-0", "token-1"]
        proxy.fault(Answer(400, {}, expired), times=None)
        with pytest.raises(errors.Denied, match="expired"):
            store.get("k")


def test_an_intercepted_client_is_called(moto):
    from moto import mock_aws

    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="in-process")
        store = S3Cache(
            "in-process", prefix="p/", s3_client=client, dedupe_writes=True, on_error="raise", tags={"team": "a b"}
        )
        store.set("k", {"a": "b" * 1000}, ttl=60)
        store.set("k", {"a": "b" * 1000}, ttl=600)

        assert store.get("k") == {"a": "b" * 1000}
        assert store.get_entry("k").fresh_until > time.time() + 500
        assert store.exists("k")
        assert client.get_object_tagging(Bucket="in-process", Key="p/k")["TagSet"] == [{"Key": "team", "Value": "a b"}]
        assert not store.set_if_not_exists("k", 1, 60)
        assert store.set_if_not_exists("other", 1, 60)
        assert [found["Key"] for found in client.list_objects_v2(Bucket="in-process")["Contents"]] == ["p/k", "p/other"]
        assert store.clear() == 2
        assert store.get("k") is None


def test_what_intercepts_all_of_botocore_intercepts_us_too():
    from moto import mock_aws

    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="in-process")
        store = S3Cache("in-process", on_error="raise")
        store.set("k", 1)

        assert boto3.client("s3").head_object(Bucket="in-process", Key="k")["Metadata"]["ac-codec"] == "pickle"
        assert store.get("k") == 1


def test_a_stubbed_client_is_called():
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
        store = S3Cache("bucket", s3_client=client, on_error="raise")

        assert store.get("k") is None
        stub.assert_no_pending_responses()


class OwnClient:
    """Has the methods of boto3's client that a cache needs, and nothing else."""

    def __init__(self):
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def put_object(self, Bucket, Key, Body, Metadata, ContentType=None, ContentEncoding=None, IfNoneMatch=None):
        self.calls.append("put")
        about = {"Metadata": Metadata, "ContentType": ContentType, "ContentEncoding": ContentEncoding}
        self.objects[Key] = {"Body": Body, **about}

    def get_object(self, Bucket, Key):
        self.calls.append("get")
        return self.objects[Key]

    def head_object(self, Bucket, Key):
        self.calls.append("head")
        return self.objects[Key]

    def delete_object(self, Bucket, Key):
        self.objects.pop(Key, None)


def test_a_client_that_we_do_not_know_is_called():
    client = OwnClient()
    store = S3Cache("bucket", prefix="p/", s3_client=client, serializer="json")

    @TTLCache.cached("user:{}", ttl=60, cache=store)
    def load(number):
        return {"number": number}

    assert load(1) == load(1) == {"number": 1}
    assert list(client.objects) == ["p/user:1"]
    assert client.calls == ["get", "put", "get"]


def test_a_client_that_fails_is_a_miss():
    class Broken(OwnClient):
        def get_object(self, Bucket, Key):
            raise OSError("broken")

    store = S3Cache("bucket", s3_client=Broken(), retries=0)

    assert store.get("k") is None
    assert store.stats()["read_failed"] == 1


def google_client(server):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(
        project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.url}
    )


def test_a_google_client_lends_its_endpoint(gcs):
    client, bucket = google_client(gcs), fresh_bucket(gcs)
    with Proxy(gcs.url) as proxy:
        client._connection.API_BASE_URL = proxy.url
        store = GCSCache(bucket=bucket, prefix="reports/", client=client, compress=True, serializer="json")
        store.set("2026", {"a": "b" * 1000}, ttl=60)

        assert store.get("2026") == {"a": "b" * 1000}
        assert all("undercroft" in seen.headers["user-agent"] for seen in proxy.log)

    blob = google_client(gcs).bucket(bucket).get_blob("reports/2026")
    assert blob.metadata["ac-codec"] == "json"
    assert blob.content_encoding == "gzip"


def test_a_google_client_that_we_do_not_know_is_called(gcs):
    class Wrapped(type(google_client(gcs))):
        """A client of somebody's own."""

    bucket = fresh_bucket(gcs)
    plain = google_client(gcs)
    wrapped = Wrapped(project="test", credentials=plain._credentials, client_options={"api_endpoint": gcs.url})
    store = GCSCache(bucket, client=wrapped, on_error="raise", dedupe_writes=True)
    store.set("k", {"a": "b" * 1000}, ttl=60)
    store.set("k", {"a": "b" * 1000}, ttl=600)

    assert store.get("k") == {"a": "b" * 1000}
    assert store.get_entry("k").fresh_until > time.time() + 500
    assert store.exists("k")
    store.delete("k")
    assert store.get("k") is None
    assert store.clear() == 0


def test_google_tokens_come_from_the_client_and_are_replaced(gcs):
    class Credentials:
        """What google-auth's credentials look like from outside."""

        valid, token, expiry, refreshed = True, "first", None, 0

        def refresh(self, request):
            self.refreshed += 1
            self.token = "second"

    with Proxy(gcs.url) as proxy:
        client = google_client(gcs)
        client._connection.API_BASE_URL = proxy.url
        client._credentials = Credentials()
        store = GCSCache(fresh_bucket(gcs), client=client, on_error="raise", retries=0)
        proxy.fault(Answer(401, {}, b'{"error": {"message": "expired"}}'), times=1)

        store.set("k", 1)

        assert [seen.headers["authorization"] for seen in proxy.log] == ["Bearer first", "Bearer second"]


def test_the_emulator_of_the_environment_is_heeded(gcs, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url.removeprefix("http://"))
    store = GCSCache(fresh_bucket(gcs), on_error="raise")

    store.set("k", [1])

    assert store.get("k") == [1]


def test_a_service_account_signs_for_its_tokens(gcs, tmp_path):
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with Proxy(gcs.url) as proxy:
        account = {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "1",
            "private_key": pem,
            "client_email": "cache@test.iam.gserviceaccount.com",
            "client_id": "1",
            "auth_uri": f"{proxy.url}/auth",
            "token_uri": f"{proxy.url}/token",
            "auth_provider_x509_cert_url": f"{proxy.url}/certs",
            "client_x509_cert_url": f"{proxy.url}/certs/1",
        }
        path = tmp_path / "account.json"
        path.write_text(json.dumps(account))
        answer = {"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"}
        proxy.fault(
            Answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode()), path_contains="/token"
        )
        store = GCSCache(fresh_bucket(gcs), endpoint_url=proxy.url, credentials=str(path), on_error="raise", retries=0)

        store.set("k", 1)
        assert store.get("k") == 1

        assert [seen.path.split("/")[1] for seen in proxy.log][:2] == ["token", "upload"]
        assert {seen.headers.get("authorization") for seen in proxy.log[1:]} == {"Bearer granted"}


def test_credentials_come_from_the_environment_and_profiles(s3s, monkeypatch, tmp_path):
    bucket = fresh_bucket(s3s)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3s.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3s.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = S3Cache(bucket, endpoint_url=s3s.url, region="us-east-1", on_error="raise")
    store.set("k", 1)
    assert store.get("k") == 1

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(errors.Denied, match="no AWS credentials"):
        S3Cache(bucket, endpoint_url=s3s.url, on_error="raise", retries=0).get("k")

    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {s3s.access_key}\naws_secret_access_key = {s3s.secret_key}\n"
    )
    (tmp_path / "config").write_text("[profile work]\nregion = us-east-1\n")
    assert S3Cache(bucket, endpoint_url=s3s.url, profile="work", on_error="raise").get("k") == 1


def test_credentials_that_cannot_be_had_are_not_asked_for_at_every_call(moto):
    asked = []

    def refresh():
        asked.append(1)
        raise OSError("no credentials today")

    session = get_session()
    expires = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    session._credentials = RefreshableCredentials("id", "secret", "token", expires, refresh, "test")
    client = boto3.Session(botocore_session=session).client("s3", endpoint_url=moto.url, region_name="us-east-1")
    store = S3Cache(fresh_bucket(moto), s3_client=client)

    assert [store.get(f"k{at}") for at in range(20)] == [None] * 20
    assert len(asked) == 1
