"""A peer: Flask and redis-py."""

import json
import logging
import os

from flask import Flask, Response, jsonify, request
from redis import Redis

from benchmarks.peers.retell import ENTRY, answer, is_authentic

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
logger = logging.getLogger(__name__)
redis = Redis.from_url(os.environ["REDIS_URL"])
application = Flask(__name__)


@application.post("/webhooks/retell/")
def inbound() -> Response:
    body = request.get_data()
    if not is_authentic(body, request.headers.get("X-Retell-Signature", "")):
        return Response(status=401)
    number = json.loads(body)["call_inbound"]["to_number"]
    cached = redis.get(ENTRY.format(number))
    logger.info("Redis cache %s for %s", "hit" if cached else "miss", number)
    return jsonify(answer(number, cached))
