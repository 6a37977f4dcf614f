"""``python -m services.proxy``"""

from services.proxy.app import Proxy
from services.proxy.domain.limits import MAX_FRAME
from services.proxy.settings import ProxySettings
from shared.service.lifecycle import main

if __name__ == "__main__":
    main(
        "proxy",
        ProxySettings,
        lambda settings: settings.proxy_port,
        Proxy,
        largest_frame=MAX_FRAME,
        ping=lambda settings: settings.ping_seconds,
        turned_away=Proxy.turned_away,
    )
