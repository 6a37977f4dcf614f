"""The words of the flow that the journeys go through, ``services/workflow/flows/tour.json``."""

from __future__ import annotations

WELCOME = "Welcome to the tour. Messages may be HTML, with emphasis and links."
#: The console says where a link leads.
WELCOME_AT_DESK = f"{WELCOME[:-1]} (https://developer.mozilla.org/en-US/docs/Web/HTML)."
MENU = "What would you like to see? (Ids may be numbers.)"
OPEN = "The editor is open, with a prompt of its own. Write something."
REOPENED = "Now the same without a prompt. Write something more."
CLOSED = "And the editor is closed again."
CALLING = "I ask for a person. The tour goes on when you are handed back."
BACK = "Here I am again."
BYE = "That was all. Thank you!"

#: What the visitor may pick, and how the operators' console shows the question.
CHOICES = ("The editor", "A person, and back", "The end")
MENU_AT_DESK = MENU + "".join(f" • {choice}" for choice in CHOICES)
