"""``gtn-nas export``: export a fully trained network of a run."""

from __future__ import annotations

from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="Run folder, or a URI like s3://bucket/runs/x.")],
    to: Annotated[str, typer.Option("--to", help="Folder to make, on this machine.")],
    rank: Annotated[
        int | None,
        typer.Option(
            help="Which of the fully trained networks, by validation accuracy. [default: 1, the "
            "winner]"
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Its key, instead of its rank.")] = None,
    space: Annotated[
        str | None,
        typer.Option(help="module:Class of the run's search space, if that is your own."),
    ] = None,
    formats: Annotated[
        str, typer.Option(help="What to write, with a comma between.")
    ] = "pytorch,onnx",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an earlier export in --to.")
    ] = False,
) -> None:
    """Write a fully trained network as plain PyTorch and as ONNX, checked against the original."""
    from gtn_nas.errors import ConfigError

    if rank is not None and key is not None:
        raise ConfigError("--rank and --key name a network twice; give one of them")

    from gtn_nas.cli.signals import end_on_signals
    from gtn_nas.export import exporting

    end_on_signals("nothing was exported")
    exported = exporting.export(
        run,
        to,
        rank=1 if rank is None else rank,
        key=key,
        space=space,
        formats=tuple(dict.fromkeys(name.strip() for name in formats.split(","))),
        replace=replace,
    )
    trained, final = exported.trained, exported.trained.final
    typer.echo(
        f"{trained.architecture.key}, place {trained.rank} of its run: "
        f"{final['validation_accuracy']:.2%} on validation images, "
        f"{final['test_accuracy']:.2%} on test images"
    )
    for name, distance in exported.differences.items():
        same = "the same logits" if distance == 0 else f"the same logits up to {distance:.1e}"
        typer.echo(f"{name}: loaded by a fresh process, {same}")
    typer.echo(f"exported to {exported.folder}   (README.md says how to use it)")
