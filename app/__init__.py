"""GRUPO_GAD: people, officers and their positions, behind one HTTP API."""

from __future__ import annotations

__version__ = "0.1.0"  # a unit test keeps it equal to pyproject.toml
