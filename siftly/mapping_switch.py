"""Changes a web process to a new version of the mapping without a restart, and without a call that
sees something of both: all objects that depend on the mapping are built again, load the new set,
and then replace the old ones in one step. A call is answered by the objects that it began with."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError

from airtable_sync.apps import AirtableSyncConfig
from airtable_sync.mapping.source import MappingSource
from siftly.server.http import Receive, Send
from siftly.web_services import WebServices, build_web_services, web_services

logger = logging.getLogger(__name__)

LOAD_SECONDS = 30.0
# Redis announces a new version. The database is asked in case the message is lost …
CHECK_SECONDS = 30.0
CHECK_SECONDS_WITHOUT_REDIS = 3.0  # … and where there is no Redis
RETRY_SECONDS = 3.0
LONGEST_CALL_SECONDS = 15.0  # so long the old objects still answer the calls that they have


@dataclass(frozen=True)
class _Running:
    web: WebServices
    stack: contextlib.AsyncExitStack  # ends what it does in the background

    @property
    def source(self) -> MappingSource:
        return self.web.services.active_mapping.source


class MappingSwitch:
    def __init__(self) -> None:
        self._saved = asyncio.Event()  # another version may be in force
        self._ending = set[asyncio.Task[None]]()

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        # In a thread: it asks the database which mapping is in force.
        self._current = await self._start(await asyncio.to_thread(web_services))
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            for task in (following, *self._ending):
                task.cancel()
            await asyncio.gather(following, *self._ending, return_exceptions=True)
            await self._current.stack.aclose()

    async def _start(self, web: WebServices) -> _Running:
        web.lifecycle.on_mapping_saved = self._notify
        stack = contextlib.AsyncExitStack()
        await stack.enter_async_context(web.lifecycle.running())
        return _Running(web, stack)

    def _notify(self) -> None:
        """Called in a replica's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._saved.set)

    async def _follow(self) -> None:
        if self._current.web.services.mapping_versions.path:
            return  # AIRTABLE_MAPPING names a file
        retry = pause = RETRY_SECONDS  # a version may have been saved while this process started
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._saved.wait(), pause)
            self._saved.clear()
            if await self._try_to_follow():
                retry, pause = RETRY_SECONDS, self._check_seconds()
            else:
                self._saved.clear()  # trying to load the new set sets it too
                pause, retry = retry, min(2 * retry, self._check_seconds())

    async def _try_to_follow(self) -> bool:
        """Whether this process uses the mapping that is in force, as far as is known."""
        try:
            return await self._follow_once()
        except DatabaseError as error:
            logger.debug("The database does not say which mapping is in force: %s", error)
        except Exception:
            logger.exception("Changing to the new mapping failed; it is tried again")
        return False

    def _check_seconds(self) -> float:
        has_redis = self._current.web.services.configuration.has_redis
        return CHECK_SECONDS if has_redis else CHECK_SECONDS_WITHOUT_REDIS

    async def _follow_once(self) -> bool:
        """Raises DatabaseError."""
        versions = self._current.web.services.mapping_versions
        source = await asyncio.to_thread(versions.saved_or_default)
        if source == self._current.source:
            return True
        await asyncio.to_thread(versions.copy_to_redis, source)
        return await self._change_to(source)

    async def _change_to(self, source: MappingSource) -> bool:
        """False if its set can't be loaded yet: then the old one stays in use."""
        new = await self._start(await asyncio.to_thread(self._build, source))
        try:
            is_loaded = await asyncio.wait_for(new.web.lifecycle.wait_until_loaded(), LOAD_SECONDS)
        except TimeoutError:
            is_loaded = False
        except BaseException:
            await new.stack.aclose()
            raise
        if not is_loaded:
            await new.stack.aclose()
            logger.info("The set of the mapping's %s can't be loaded yet", source.name)
            return False
        await asyncio.to_thread(new.web.services.unknown_number.reload)
        await self._replace(new)
        return True

    def _build(self, source: MappingSource) -> WebServices:
        used = _airtable_sync().new_services(source)
        # Without Redis each process reads the schema itself. Until then, and while Airtable is
        # down, calls of unknown numbers would get no names of variables.
        used.call_schema.begin_with(self._current.web.services.call_schema)
        return build_web_services(settings, used, self._current.web.call_handler)

    async def _replace(self, new: _Running) -> None:
        old, self._current = self._current, new
        new.web.call_handler.take_over(old.web.call_handler)
        new.web.call_handler.follow_ups.count_in(new.web.services.counters)
        _airtable_sync().replace_services(new.web.services)
        cast("Any", apps.get_app_config("siftly")).replace_web_services(new.web)
        logger.info("The mapping in use is now %s", new.source.name)
        ending = asyncio.create_task(_end(old))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def _end(old: _Running) -> None:
    """It reads the change feed no longer, but still answers the calls that it has."""
    try:
        await asyncio.to_thread(old.web.services.feed_follower.stop)
        await asyncio.sleep(LONGEST_CALL_SECONDS)
    finally:
        await old.stack.aclose()


def _airtable_sync() -> AirtableSyncConfig:
    return cast("AirtableSyncConfig", cast("Any", apps.get_app_config("airtable_sync")))
