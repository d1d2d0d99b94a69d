"""Versions of the application that tests release: the built image, started otherwise. Seconds to make."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass

import docker

from infra.operate.images.registry import local_registry

# In rotation, as the slot itself sees it.
LIVE = (
    "import os, pathlib\n"
    "def live():\n"
    "    return pathlib.Path('/run/gad/release/live').read_text() == os.environ['GAD_SLOT']\n"
)
SERVE = "import sys\nfrom app.main import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Version:
    """A Python program in the image's place, and how long it may take to be healthy."""

    name: str
    program: str


GOOD = Version("good", SERVE)
SLOW_BOOT = Version("boots for 25 s", f"import time\ntime.sleep(25)\n{SERVE}")
NO_START = Version(
    "does not start", "import sys\nprint('error: this version cannot start', file=sys.stderr)\nsys.exit(1)\n"
)
CRASHES = Version(
    "crashes after 3 s",
    "import os, threading\nthreading.Timer(3, os._exit, (70,)).start()\n" + SERVE,
)
ERRORS = Version(
    "healthy, then 500s",
    f"{LIVE}import app.task.search as search\nreal = search.page\n"
    "async def page(*args, **named):\n"
    "    if live():\n        raise RuntimeError('this version fails at work')\n"
    "    return await real(*args, **named)\n"
    f"search.page = page\n{SERVE}",
)
NEVER_READY = Version(
    "live, never ready",
    f"{LIVE}from app.rotation import Rotation\nreal = Rotation.is_in\n"
    "def is_in(self):\n    real(self)\n    return False\n"
    f"Rotation.is_in = is_in\n{SERVE}",
)
WRONG_PORT = Version("wrong port", f"import os\nos.environ['GAD_PORT'] = '8001'\n{SERVE}")
OUT_OF_MEMORY = Version("out of memory", "held = bytearray(2 * 1024 ** 3)\nheld[::4096] = held[::4096]\n")
BAD_SECRET = Version(
    "bad secret", f"import os\nos.environ['GAD_JWT_SECRET_FILE'] = '/run/gad/secrets/none'\n{SERVE}"
)
HANGS = Version(
    "health check hangs",
    "import socket, time\nheld = socket.create_server(('0.0.0.0', 8000))\ntime.sleep(3600)\n",
)
CRASHES_AT_WORK = Version(
    "crashes at work",
    f"{LIVE}import threading, time\n"
    "def end():\n    while not live():\n        time.sleep(0.1)\n    time.sleep(1)\n    os._exit(70)\n"
    f"threading.Thread(target=end, daemon=True).start()\n{SERVE}",
)


def publish(client: docker.DockerClient, app: str, version: Version) -> str:
    """Make the version from the image `app` and push it; answers name@sha256:…, as a stack file wants it."""
    recipe = f"FROM {app}\nCMD {json.dumps(['python', '-c', version.program])}\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        tar.addfile(entry, io.BytesIO(recipe))
    context.seek(0)
    tag = hashlib.sha256(recipe).hexdigest()[:12]
    repository = local_registry().repository("app-tested")
    client.images.build(fileobj=context, custom_context=True, tag=f"{repository}:{tag}", rm=True)
    said = client.images.push(repository, tag=tag, stream=True, decode=True)
    (digest,) = [line["aux"]["Digest"] for line in said if "aux" in line]
    return f"{repository}@{digest}"
