"""Opens WebSockets without following redirects: what was named is judged, and logins go nowhere else."""

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets


class connect_directly(connect):  # noqa: N801
    """`connect` of websockets, which raises InvalidStatus for a redirect."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the error of a redirect, so that it is raised and the redirect is not followed."""
        return exc


def redirect_target(error: BaseException) -> str:
    """Return the address to which a server wants to redirect our WebSocket upgrade, for an error message; ""
    if `error` is not a redirect. We follow no redirect. Logins in the address are left out."""
    if not isinstance(error, InvalidStatus) or error.response.status_code // 100 != 3:
        return ""
    return url_without_secrets(error.response.headers.get("Location", ""))
