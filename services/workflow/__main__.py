"""``python -m services.workflow``"""

from services.workflow.app import App
from services.workflow.settings import WorkflowSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main("workflow", WorkflowSettings, lambda settings: settings.workflow_port, App)
