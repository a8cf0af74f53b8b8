"""The component: what it exports, made of what ``provider.py`` says. An interface that the manifest asks for is named here."""

from keyport.component import component
from provider import App

_made = component(App)
Connection = _made.Connection
Actions = _made.Actions
Triggers = _made.Triggers
