"""Writes a network as an ONNX file."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from gtn_nas.errors import ExportError, one_line

INPUT, OUTPUT = "images", "logits"


def write_onnx(network: nn.Module, image_shape: tuple[int, int, int], path: Path) -> None:
    """Write a network as an ONNX file that takes any number of images.

    Args:
        network: the network, in evaluation mode.
        image_shape: channels, height and width.
        path: the file to write.

    Raises:
        ExportError: torch's exporter cannot write it.
    """
    images = torch.zeros(2, *image_shape)  # the exporter could take a batch of 1 for a constant
    logger = logging.getLogger("torch.onnx")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            logger.disabled = True
            torch.onnx.export(
                network,
                (images,),
                path,
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds
        raise ExportError(
            f"this network cannot be written as ONNX ({one_line(error)}); "
            "--formats pytorch leaves that out"
        ) from error
    finally:
        logger.disabled = False
