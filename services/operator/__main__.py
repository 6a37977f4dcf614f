"""``python -m services.operator``."""

from services.operator.app import App
from services.operator.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    main("operator", Settings, lambda settings: settings.operator_port, App)
