"""A server that one would write by hand: Flask and redis-py."""

import json
import logging
import os

from flask import Flask, Response, jsonify, request
from redis import Redis

from benchmarks.baselines.retell import ENTRY_KEY, is_authentic, response_body

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
    cached = redis.get(ENTRY_KEY % number)
    logger.info("Redis cache %s for %s", "hit" if cached else "miss", number)
    return jsonify(response_body(number, cached))
