"""The Pulumi program: load the settings, build the stack, export what it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engine puts only infra/ there

import pulumi

from infra import attempt, errors, settings, stack

name = pulumi.get_stack()
try:
    desired, recorded = settings.load(name), stack.last_release(name)
    outputs = stack.build(desired, recorded, attempt.begin(), back=attempt.asks_for_the_version_before())
except errors.GadError as error:
    raise pulumi.RunError(str(error)) from None  # any language host prints it without a traceback
for key, value in outputs.items():
    pulumi.export(key, value)
