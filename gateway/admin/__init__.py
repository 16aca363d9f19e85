"""The operator's HTTP surface: health, metrics, and the API; one handler file per noun."""

from gateway.admin.app import Admin
from gateway.admin.context import AdminContext

__all__ = ["Admin", "AdminContext"]
