"""Does a server answer as its own OpenAPI document says, whatever is asked?

`cargo xtask described` starts an emulator and sets ONHOOK_URL; by hand, with the packages of requirements.txt:
    ONHOOK_URL=http://127.0.0.1:9080 python3 described.py SECONDS SEED
Not here: what the answers mean. The server's own tests have that.
"""

import os
import sys

from schemathesis.cli import schemathesis

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]

seconds, seed = sys.argv[1:]
schemathesis(
    [
        "run",
        os.environ["ONHOOK_URL"] + "/ops/openapi.json",
        "--auth=operator:password",
        "--checks=" + ",".join(CHECKS),
        "--phases=examples,coverage,fuzzing",
        "--continue-on-failure",
        "--generation-database=none",
        "--warnings=off",
        "--no-color",
        "--max-time=" + seconds,
        "--seed=" + seed,
    ]
)
