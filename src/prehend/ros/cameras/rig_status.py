"""What diagnostics say of a rig's stamps: whether images of one time come together."""

from prehend.rig.matching import CameraCounts
from prehend.ros.cameras.worker import RigWorker
from prehend.ros.nodes.diagnostics import OK, WARN, Status
from prehend.ros.params import NodeParams

_INCOMPLETE_SHARE = 0.2
"""Of the sets of a second."""


class SyncStatus:
    """Counts since the last time, from the matcher's totals.

    Args:
        worker: whose matcher it is.
        params: of the node.
    """

    def __init__(self, worker: RigWorker, params: NodeParams) -> None:
        self._worker, self._params = worker, params
        self._before = (0, 0)

    def status(self, now_s: float) -> Status:
        """Whether images match."""
        with self._worker.lock:
            matcher = self._worker.matcher
            never, silent = matcher.never_matching(), matcher.silent(now_s)
            counts = {name: CameraCounts(**vars(one)) for name, one in matcher.counts.items()}
            totals = (matcher.complete, matcher.incomplete)
            lead, dropped = matcher.lead(now_s), self._worker.dropped
        new = [now - before for now, before in zip(totals, self._before, strict=True)]
        self._before = totals
        values: dict[str, object] = {
            "leading camera": lead or "none",
            "complete sets": totals[0],
            "incomplete sets": totals[1],
            "sets dropped": dropped,
            "sync": "exact" if self._params.rig_sync == "exact" else f"within {self._params.rig_window_s:g} s",
        }
        for name, one in counts.items():
            for what in ("matched", "alone", "unsynced", "late"):
                values[f"{name} {what}"] = getattr(one, what)
        faults = [self._never(name, counts[name], lead) for name in never if name not in silent]
        if silent and len(silent) < len(counts):
            faults.append(f"nothing comes of {', '.join(silent)}: hands are made of the other cameras")
        if not faults and new[1] > _INCOMPLETE_SHARE * max(sum(new), 1):
            faults.append(f"{new[1]} of {sum(new)} sets lack a camera's image: are the cameras of one rate?")
        if faults:
            return Status("sync", WARN, "; ".join(faults), values)
        return Status("sync", OK, "images match" if totals[0] else "no set of images yet", values)

    def _never(self, name: str, counts: CameraCounts, lead: str | None) -> str:
        way = "set rig_sync to approximate" if self._params.rig_sync == "exact" else "raise rig_window_s"
        return (
            f"stamps of {name} never match those of {lead or 'the others'}: {abs(counts.apart_s):.3g} s apart; "
            f"synchronise the cameras' clocks, or {way}"
        )
