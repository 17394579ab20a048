from torch import nn

from gtn_nas.export.layers import kind_of
from gtn_nas.export.naming import part_names


def test_layers_of_lists_are_called_after_what_they_are():
    network = nn.Module()
    network.layers = nn.ModuleList([nn.ReLU(), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3)])
    network.cells = nn.ModuleList([nn.Conv2d(1, 1, 1)])
    network.head = nn.Linear(1, 1)
    paths = ["layers.1", "layers.0", "layers.2", "cells.0", "head"]
    assert part_names(network, paths) == {
        "layers.1": "conv_1",
        "layers.0": "relu",
        "layers.2": "conv_2",
        "cells.0": "cell",
        "head": "head",
    }


def test_no_two_are_called_alike():
    network = nn.Module()
    network.conv_1, network.relu = nn.Conv2d(1, 1, 1), nn.ReLU()
    network.layers = nn.ModuleList([nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.ReLU()])
    paths = ["conv_1", "relu", "layers.0", "layers.1", "layers.2"]
    assert len(set(part_names(network, paths).values())) == len(paths)


def test_a_sequence_is_called_after_its_main_layer():
    conv = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    assert kind_of(conv) == "conv"
    assert kind_of(nn.Sequential(nn.ReLU())) == "relu"
    assert kind_of(nn.LeakyReLU()) == "leaky_relu"
    assert kind_of(nn.MaxPool2d(2)) == "max_pool"
