"""Code is written, run, and compared with the network: bit for bit."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gtn_nas.errors import ExportError
from gtn_nas.export.source import Source, source_of
from gtn_nas.spaces import SPACES, get_space

from .networks import NETWORKS, SHAPE

OWN = "examples.own_space:MobileChain"
RULES = "E,F,W,I,B,C4,N,RET,SIM,UP"


def stirred(network: nn.Module) -> nn.Module:
    """Change what fresh layers have in common, so that no mix-up goes unnoticed."""
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.1 + 0.01)
    return network.eval()


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return dict([*network.named_parameters(), *network.named_buffers()])


def loaded(network: nn.Module, source: Source) -> nn.Module:
    """Run the code and give it the weights."""
    names: dict[str, type[nn.Module]] = {}
    exec(compile(source.text, "model.py", "exec"), names)  # noqa: S102
    again = names["Network"]()
    here = tensors(network)
    again.load_state_dict({there: here[name] for name, there in source.names.items()})
    return again.eval()


def assert_equal(network: nn.Module, shape: tuple[int, int, int]) -> Source:
    source = source_of(network, "A title.", "What it does.")
    again = loaded(network, source)
    images = torch.rand(3, *shape)
    with torch.no_grad():
        assert torch.equal(again(images), network(images))
    return source


def assert_well_formed(folder: Path, *sources: Source) -> None:
    for number, source in enumerate(sources):
        (folder / f"model_{number}.py").write_text(source.text)
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    alone = ["--isolated", "--no-cache", "--line-length", "100"]
    for command in (
        ["format", "--check", "--diff"],
        ["check", "--select", RULES, "--ignore", "N812"],
    ):
        done = subprocess.run(
            [*ruff, *command, *alone, str(folder)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("spec", [*SPACES, OWN])
def test_every_search_space_is_written_as_code_that_equals_it(spec, tmp_path):
    space, rng = get_space(spec), random.Random(0)
    sources = []
    for _ in range(6 if spec != "nao_cells" else 3):
        shape = rng.choice([(1, 8, 8), (3, 17, 17), (3, 32, 32)])
        network = space.build(space.sample(rng), shape, 7, "proxy")
        sources.append(assert_equal(stirred(network), shape))
    assert_well_formed(tmp_path, *sources)
    assert all("gtn_nas" not in source.text for source in sources)


@pytest.mark.parametrize("name", NETWORKS)
def test_so_is_what_users_write(name, tmp_path):
    torch.manual_seed(0)
    source = assert_equal(stirred(NETWORKS[name](5)), SHAPE)
    assert_well_formed(tmp_path, source)


def test_a_known_network_reads_as_a_person_would_write_it():
    space = get_space("nas_bench_201")
    cell = space.from_string(
        "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|"
    )
    network = space.build(cell, (3, 32, 32), 10, "final").eval()
    text = source_of(network, "A title.", "What it does.").text
    assert "return images\n" in text  # of three edges, two lead nowhere
    assert "*(Cell() for _ in range(5))," in text
    assert "nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)," in text


def test_only_the_layers_that_are_used_are_written():
    text = source_of(stirred(NETWORKS["blocks"](5)), "T.", "A.").text
    assert "unused" not in text
    assert "nn.Linear(12, 5)" in text


def test_layers_that_differ_in_numbers_share_a_class():
    text = source_of(stirred(NETWORKS["blocks"](5)), "T.", "A.").text
    assert text.count("class SqueezeExcite") == 1
    assert "SqueezeExcite(8, 4)" in text
    assert "SqueezeExcite(12, 6)" in text


def test_a_layer_keeps_what_it_does_in_training():
    network = stirred(NETWORKS["blocks"](5))
    again = loaded(network, source_of(network, "T.", "A.")).train()
    images = torch.rand(8, *SHAPE)
    torch.manual_seed(0)
    first = again(images)
    torch.manual_seed(1)
    assert not torch.equal(first, again(images))


def test_a_deep_network_is_written_in_seconds():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 3, 1) if i % 2 else nn.ReLU() for i in range(1000)]
    source = assert_equal(nn.Sequential(*layers, nn.Flatten()).eval(), (3, 4, 4))
    assert source.text.count("x = self.conv_") == 500


class Remote(nn.Module):
    """Needs a function of its module, and looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if is_bright(x) else x


def is_bright(x: Tensor) -> bool:
    return bool(x.mean() > 0.5)


class Counting(nn.Linear):
    """A linear layer with a weight that only its subclass knows."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.extra = nn.Parameter(torch.zeros(2))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Remote(), r"Remote.forward cannot be written .*traced.*'is_bright'"),
        (Counting(), "the layer Counting .* holds other weights than nn.Linear does"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)), "ParametrizedLinear"),
    ],
)
def test_what_cannot_be_written_is_named(layer, said):
    with pytest.raises(ExportError, match=said):
        source_of(nn.Sequential(layer).eval(), "T.", "A.")
