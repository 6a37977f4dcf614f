"""``python -m services.workflow``"""

from services.workflow.app import WorkflowApp
from services.workflow.settings import WorkflowSettings
from shared.service.lifecycle import main

if __name__ == "__main__":
    main("workflow", WorkflowSettings, lambda settings: settings.workflow_port, WorkflowApp)
