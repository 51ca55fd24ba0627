"""What the user asked for, from the values of the judge's options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatius_sim.kit.attaching import START_SECONDS, Attachment
from spatius_sim.kit.bench import Options
from spatius_sim.kit.subjects import Patience


def options_of(values: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> Options:
    """The options with these values, by option name; what is None or missing has its default."""

    def given(**names: str) -> dict[str, Any]:
        return {field: values[name] for field, name in names.items() if values.get(name) is not None}

    def several(name: str) -> tuple[str, ...]:
        return tuple(values.get(name) or ())

    attachment = Attachment(
        environment=several("target-env"),
        headers=several("target-header"),
        subprotocols=several("target-subprotocol"),
        **given(command="target-cmd", ca="target-ca"),
    )
    # A process that ends is noticed at once, so one that has only just been started may take its time.
    patience = {"attach": START_SECONDS} if attachment.command else {}
    folder = values.get("report-dir")
    return Options(
        patience=Patience(**patience | given(attach="wait", settle="settle", fallback="fallback-wait")),
        attachment=attachment,
        lacks=several("lacks"),
        environment=environment,
        seed=seed,
        **given(target="target", server="server", client="client", wire="wire", turn="turn")
        | given(motion_port="motion-port", save_tape="save-tape")
        | given(level="level", profile="profile", time_budget="time-budget")
        | ({"traces": Path(folder)} if folder else {}),
    )
