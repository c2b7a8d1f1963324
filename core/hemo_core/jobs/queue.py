"""The queue: Celery on Redis, as a carrier of hints. What is done and what is open is in :mod:`hemo_core.jobs`.

One queue a bundle digest, so a worker never even sees the chunks of a job that names another model.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from hemo_core.errors import BrokerError, BrokerInsecure

PREFIX = "hb:"
TASK = "hemo.chunk"
PRIORITIES = {"high": 0, "normal": 3, "low": 6}
HARD_LIMIT_S = 900
SENT_HEADER = "hemo_sent"
_STEP_SEPARATOR = "\x06\x16"
_PAGE = 1000
_PASSWORD = re.compile(r"([?&]password=)[^&#]*", re.IGNORECASE)
_WANTED = "redis://, rediss:// or redis+socket://"
_SCHEMES = ("redis", "rediss", "redis+socket", "unix")


def safe_url(url: str) -> str:
    """The URL without its password, for everything that is printed; a user's name stays.

    It makes no demands on the URL: a password may hold any character, and what is no URL may still hold one.
    """
    scheme, separator, rest = _PASSWORD.sub(r"\1***", url).partition("://")
    login, _, place = (rest or scheme).rpartition("@")
    user = login.partition(":")[0]
    return f"{scheme + separator if separator else ''}{user + '@' if user else ''}{place}"


def check_url(url: str) -> str:
    """The URL unchanged, if it may be used.

    Raises:
        BrokerError: not a Redis URL.
        BrokerInsecure: TLS without verifying the server's certificate.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as problem:
        raise BrokerError(f"{safe_url(url)} is no URL: its host or port cannot be read", hint=_WANTED) from problem
    if parts.scheme not in _SCHEMES:
        raise BrokerError(f"{safe_url(url)} is no broker hemo-batch can use", hint=_WANTED)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" or "password" in parse_qs(parts.query):
        raise BrokerError(
            f"the login of {safe_url(url)} cannot be read",
            hint="redis://USER:PASSWORD@HOST, in the password %40 for @, %2F for /, %3F for ? and %23 for #",
        )
    if parts.scheme == "rediss":
        mode = parse_qs(parts.query).get("ssl_cert_reqs", [""])[0].lower().removeprefix("cert_")
        if mode != "required":
            raise BrokerInsecure(
                "the broker's certificate would not be verified",
                hint="add ?ssl_cert_reqs=required to the rediss:// URL, and ssl_ca_certs=… for a private authority",
            )
    return url


def redis_url(url: str) -> str:
    """Spell the URL as redis-py does. Raises like :func:`check_url`."""
    scheme, place, options = _split(url)
    if "ssl_cert_reqs" in options:
        options["ssl_cert_reqs"] = "required"
    if scheme == "redis+socket":
        scheme = "unix"
        if "virtual_host" in options:
            options["db"] = options.pop("virtual_host").strip("/")
    return _joined(scheme, place, options)


def celery_url(url: str) -> str:
    """Spell the URL as kombu does. Raises like :func:`check_url`."""
    scheme, place, options = _split(url)
    if "ssl_cert_reqs" in options:
        options["ssl_cert_reqs"] = "CERT_REQUIRED"
    if scheme == "unix":
        scheme = "redis+socket"
        if "db" in options:
            options["virtual_host"] = options.pop("db")
    return _joined(scheme, place, options)


def _split(url: str) -> tuple[str, str, dict[str, str]]:
    """Scheme, host and path, options."""
    parts = urlsplit(check_url(url))
    return parts.scheme, f"{parts.netloc}{parts.path}", dict(parse_qsl(parts.query))


def _joined(scheme: str, place: str, options: Mapping[str, str]) -> str:
    return f"{scheme}://{place}" + (f"?{urlencode(options)}" if options else "")


def queue_name(bundle_digest: str) -> str:
    """The queue of the jobs that name this bundle."""
    return f"hemo.{bundle_digest.removeprefix('sha256:')[:12]}"


def queue_keys(bundle_digest: str) -> tuple[str, ...]:
    """The Redis lists behind a queue, prefix included: one a priority."""
    name = PREFIX + queue_name(bundle_digest)
    return tuple(name if step == 0 else f"{name}{_STEP_SEPARATOR}{step}" for step in sorted(PRIORITIES.values()))


def make_app(url: str) -> Any:
    """A Celery app on this broker. JSON only, no results, late acknowledgement, no prefetching.

    Raises:
        BrokerError, BrokerInsecure: the URL cannot or must not be used.
    """
    from celery import Celery

    app = Celery("hemo", broker=celery_url(url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=HARD_LIMIT_S,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_proc_alive_timeout=600,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options={
            "global_keyprefix": PREFIX,
            "visibility_timeout": 3600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 15,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "priority_steps": sorted(PRIORITIES.values()),
            "queue_order_strategy": "priority",
        },
    )
    return app


def send_chunks(app: Any, queue: str, priority: str, chunks: Iterable[tuple[str, int, int]]) -> int:
    """Enqueue ``(job, first, last)`` messages. Returns how many. Raises BrokerError."""
    sent = 0
    with _kombu_errors(), app.producer_pool.acquire(block=True) as producer:
        for job, first, last in chunks:
            app.send_task(
                TASK,
                args=(job, first, last),
                queue=queue,
                priority=PRIORITIES[priority],
                producer=producer,
                headers={SENT_HEADER: time.time()},
                retry_policy={"max_retries": 3, "interval_max": 1},
            )
            sent += 1
    return sent


def queued_chunks(client: Any, bundle_digest: str) -> Iterator[tuple[str, int]]:
    """``(job, first)`` of every message that waits in a bundle's queue.

    Args:
        client: a redis-py client.
        bundle_digest: names the queue.
    """
    for key in queue_keys(bundle_digest):
        for start in range(0, client.llen(key), _PAGE):
            for raw in client.lrange(key, start, start + _PAGE - 1):
                chunk = _chunk_of(raw)
                if chunk is not None:
                    yield chunk


def queue_depth(client: Any, bundle_digest: str) -> int:
    """Messages that wait in a bundle's queue."""
    return sum(int(client.llen(key)) for key in queue_keys(bundle_digest))


def _chunk_of(raw: bytes) -> tuple[str, int] | None:
    """What a message is about; None for one that is not ours."""
    try:
        args = json.loads(base64.b64decode(json.loads(raw)["body"]))[0]
        return str(args[0]), int(args[1])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


@contextmanager
def _kombu_errors() -> Iterator[None]:
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    try:
        yield
    except (KombuError, RedisError, OSError) as problem:
        raise BrokerError(f"cannot enqueue: {problem}", hint="is the broker up? hemo-batch doctor") from problem
