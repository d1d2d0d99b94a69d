"""The Pulumi program: load the settings, build the stack, export what it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engine puts only infra/ there

import pulumi

from infra import settings, stack

name = pulumi.get_stack()
outputs = stack.build(settings.load(name), stack.last_release(name))
for key, value in outputs.items():
    pulumi.export(key, value)
