from robustrepro.api.attacking import attack as attack
from robustrepro.api.auditing import Audit as Audit
from robustrepro.api.auditing import audit as audit
from robustrepro.api.finished import Loaded as Loaded
from robustrepro.api.finished import load as load
from robustrepro.api.finished import measurements as measurements
from robustrepro.errors import UserError as UserError

__all__ = ["Audit", "Loaded", "UserError", "attack", "audit", "load", "measurements"]
