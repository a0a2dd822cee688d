"""A server that one would write by hand: FastAPI and redis.asyncio."""

import json
import logging
import os

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from redis.asyncio import Redis

from benchmarks.baselines.retell import ENTRY_KEY, is_authentic, response_body

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
logger = logging.getLogger(__name__)
redis: "Redis" = Redis.from_url(os.environ["REDIS_URL"])
application = FastAPI()


@application.post("/webhooks/retell/")
async def inbound(request: Request) -> Response:
    body = await request.body()
    if not is_authentic(body, request.headers.get("x-retell-signature", "")):
        return Response(status_code=401)
    number = json.loads(body)["call_inbound"]["to_number"]
    cached = await redis.get(ENTRY_KEY % number)
    logger.info("Redis cache %s for %s", "hit" if cached else "miss", number)
    return JSONResponse(response_body(number, cached))
