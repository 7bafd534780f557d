"""Files that a template names by an https address: fetched here, from the open internet only."""

from bot.web.fetching import Web, WebError
from bot.web.places import BadAddress, Place, is_public, place_of

__all__ = ["BadAddress", "Place", "Web", "WebError", "is_public", "place_of"]
