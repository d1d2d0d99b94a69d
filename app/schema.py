"""Every mapped table, so that the metadata is whole: for migrations and for their check."""

from __future__ import annotations

from app import events, idempotency
from app.audit import models as audit
from app.auth import models as auth
from app.db import Row
from app.officer import models as officer
from app.privacy import models as privacy
from app.stats import models as stats
from app.task import models as task
from app.user import models as user

TABLES = (events, idempotency, audit, auth, officer, privacy, stats, task, user)
METADATA = Row.metadata
