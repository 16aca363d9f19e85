"""How the end of a request reads for the judge: good, bad, or the client's own affair.

Only what the route's weights drew has a cell. What goes on with a request after its version has
failed, at another one, is told of neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.metrics.recorder import Cell
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.view import Outcome

_CLIENT_GONE = 499
# An answer that began well and is not whole; 5xx and what came instead of an answer have a status.
_BROKEN_OFF = ("stream_cut", "internal_error")


def settle(exchange: Exchange, cell: Cell, now: float, has_failed: bool = False) -> None:
    """Tell the cell of the end; on the hot path, once for each request.

    `has_failed`: the version did not answer, and another one is asked. A client that left is
    counted with the time it had waited: leaving out those whose patience a slow version has worn
    out would make it look fast.
    """
    exchange.cell = None
    started, began = exchange.started, exchange.answered_at
    delivery, decision = exchange.delivery, exchange.decision
    gap = 0.0
    if delivery is not None and delivery.is_stream:
        began = delivery.first_piece_at or began
        gap = delivery.longest_gap
    status = exchange.status
    if status == 101:
        now = started  # how long people talk is up to them
    is_bad = has_failed or status >= 500
    if exchange.error and exchange.error in _BROKEN_OFF:
        is_bad = True
    if status >= 400 and not is_bad and status != _CLIENT_GONE:
        cell.refused()
    cell.ended(
        is_bad,
        decision.unit if decision is not None else None,
        exchange.endpoint or exchange.last_failed,
        now - started,
        began - started if began else 0.0,
        gap,
        started,
    )


def settle_missed(exchange: Exchange, drawn: Outcome) -> None:
    """The version that was drawn was known to be down, so that another one is asked at once."""
    decision = exchange.decision
    if drawn.tally is not None and decision is not None:
        cell = drawn.tally.arrived(exchange.started, decision.unit)
        cell.ended(True, decision.unit, None, 0.0, 0.0, 0.0, exchange.started)
