"""Half of the requests that schemathesis makes are aimed at objects that are there: made-up names would seldom reach further than a
404, and made-up drivers no further than a 400."""

import json
import os
import random

import schemathesis

SEEDS = json.loads(os.environ["FUZZ_SEEDS"])
RANDOM = random.Random(1)


def aim(values, seeds):
    """Half of the values for which there is a seed are replaced by one."""
    for name in values:
        if name in seeds and RANDOM.random() < 0.5:
            values[name] = RANDOM.choice(seeds[name])
    return values


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    # What is removed must not be what all the others are aimed at.
    removes = context.operation.method.upper() == "DELETE" and context.operation.path.endswith("}")
    return aim(path_parameters or {}, SEEDS["doomed" if removes else "path"])


@schemathesis.hook
def map_query(context, query):
    return aim(query, SEEDS["query"]) if isinstance(query, dict) else query


@schemathesis.hook
def map_body(context, body):
    return aim(body, SEEDS["body"]) if isinstance(body, dict) else body
