"""``python -m services.operator``."""

from services.operator.app import OperatorApp
from services.operator.settings import Settings
from shared.service.lifecycle import main

if __name__ == "__main__":
    main("operator", Settings, lambda settings: settings.operator_port, OperatorApp)
