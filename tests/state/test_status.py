"""What the status says of itself."""

from __future__ import annotations

from gateway.state.status import Mode, StoreStatus


def test_without_a_connection_and_without_a_table_there_is_nothing_to_serve() -> None:
    status = StoreStatus()
    assert not status.is_connected
    assert not status.is_loaded


def test_a_table_counts_wherever_it_came_from() -> None:
    assert StoreStatus(is_from_disk=True).is_loaded
    assert StoreStatus(synced_at=1.0).is_loaded
    assert not StoreStatus(is_from_disk=True).is_connected


def test_looking_is_a_connection_as_much_as_being_told() -> None:
    assert StoreStatus(mode=Mode.PUSH).is_connected
    assert StoreStatus(mode=Mode.POLL).is_connected
