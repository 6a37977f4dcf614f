"""``python -m services.analytics``: run the analytics service."""

from __future__ import annotations

from services.analytics.app import Analytics
from services.analytics.settings import Settings
from shared.service.lifecycle import main

if __name__ == "__main__":
    main("analytics", Settings, lambda settings: settings.analytics_port, Analytics)
