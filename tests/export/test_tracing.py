import pytest
import torch
from torch import Tensor, nn

from gtn_nas.export.naming import part_names
from gtn_nas.export.tracing import traced


def written(module: nn.Module) -> list[str]:
    return [line.strip() for line in traced(module.eval(), part_names).source[1:]]


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + (x + 1)) * 2 - -(x**2) / (x * 3) - (x - (x - 1))


def test_terms_keep_their_order():
    names = {"Tensor": Tensor}
    exec("\n".join(traced(Sums(), part_names).source), names)  # noqa: S102
    x = torch.rand(100) + 1
    assert torch.equal(names["forward"](None, x), Sums()(x))


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        before = x * 2
        x.mul_(3)
        return before + x


def test_what_changes_in_place_is_done_when_it_was_done():
    assert "x.mul_(3)" in written(InPlace())
    assert written(InPlace()).index("x.mul_(3)") == 1


class InPlaceLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        self.act(x)
        return x


def test_so_is_a_layer_whose_result_nobody_takes():
    assert written(InPlaceLayer()) == ["self.act(x)", "return x"]


class Indices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., 1:, ::2].flatten(1)


def test_indices_are_written_as_indices():
    assert written(Indices()) == ["return x[..., 1:, ::2].flatten(1)"]


class Identities(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.two(self.one(x)))


def test_identities_leave_no_trace():
    found = traced(Identities(), part_names)
    assert found.source[1:] == ("    return self.two(x)",)
    assert found.parts == {"two": "two"}


class Optional(nn.Module):
    def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
        return x * scale


def test_arguments_with_defaults_are_left_to_the_authors_own_text():
    with pytest.raises(ValueError, match="defaults"):
        traced(Optional(), part_names)
