"""Providers of the master key: the port, and the adapters of this package."""

from __future__ import annotations

from typing import Protocol

from strongroom.domain.ports import Binding


class MasterKeyProvider(Protocol):
    """Wraps key-encryption keys under a master key that never leaves the provider.

    A provider may hold several master keys, each with an id that is stable across restarts and
    processes. One is current. Ids are stored beside what they wrap and are shown to administrators,
    so they hold nothing secret. Every method may be called from any thread.
    """

    @property
    def name(self) -> str:
        """Return the provider's name in settings and answers, such as ``key-file``."""
        ...

    def current_key_id(self) -> str:
        """Return the id of the key that wraps new keys.

        Raises:
            Unavailable: ``master_key_missing`` if there is no key.
        """
        ...

    def wrap(self, key: bytes, binding: Binding, *, master_key_id: str | None = None) -> tuple[str, bytes]:
        """Encrypt a key for storage.

        Args:
            key: 32 bytes.
            binding: where the result will be stored; it unwraps nowhere else.
            master_key_id: a key that `prepare_rotation` returned; without it the current one.

        Returns:
            The id of the master key that was used, and the wrapped key.
        """
        ...

    def unwrap(self, master_key_id: str, wrapped: bytes, binding: Binding) -> bytes:
        """Decrypt what `wrap` returned, with any key the provider still has.

        Raises:
            Unavailable: ``master_key_missing`` if the provider has no key at all.
            Integrity: ``master_key_wrong`` if it has other keys only,
                ``integrity_failed`` if the wrapped key was changed.
        """
        ...

    def prepare_rotation(self) -> str:
        """Make a new master key durable and usable, but not current, and return its id."""
        ...

    def finish_rotation(self, master_key_id: str) -> None:
        """Make a key the current one; harmless when it already is. Older keys stay usable."""
        ...

    def health(self) -> None:
        """Check that the current key wraps and unwraps.

        Raises:
            Unavailable: it does not.
            Integrity: it does not.
        """
        ...
