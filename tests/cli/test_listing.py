import pytest

from gtn_nas.cli.listing import datasets, spaces, strategies, teachers
from gtn_nas.data import DATASETS
from gtn_nas.errors import TeacherError
from gtn_nas.spaces import SPACES
from gtn_nas.strategies import STRATEGIES
from gtn_nas.teacher import artifact
from gtn_nas.teacher.artifact import MeasuredRanking, save_teacher

from ..teacher.samples import header_of, make_teacher


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "SHIPPED", tmp_path)

    def ship(name, **values):
        teacher = make_teacher()
        header = header_of(teacher).model_copy(update=values)
        save_teacher(teacher, header, tmp_path / f"{name}.safetensors")

    return ship


def rows(capsys) -> list[list[str]]:
    """The cells of what was printed, without the header."""
    _, *lines = capsys.readouterr().out.splitlines()
    return [line.split() for line in lines]


@pytest.mark.parametrize(
    ("listing", "listed"), [(spaces, SPACES), (strategies, STRATEGIES), (datasets, DATASETS)]
)
def test_every_name_is_listed_with_its_description(capsys, listing, listed):
    listing()
    shown = {name: " ".join(text) for name, *text in rows(capsys)}
    assert dict(listed).items() <= shown.items()


@pytest.mark.parametrize("listing", [spaces, strategies])
def test_a_class_of_one_s_own_is_mentioned(capsys, listing):
    listing()
    assert rows(capsys)[-1][0] == "MODULE:CLASS"


def test_a_narrow_screen_cuts_no_word_off(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    datasets()
    words = capsys.readouterr().out.split()
    assert {word for text in DATASETS.values() for word in text.split()} <= set(words)


def test_teachers_are_listed_with_what_they_are_for(capsys, shipped):
    ranking = MeasuredRanking(
        truth="", space="conv_chain", count=60, spearman={"proxy_loss": (0.875, 0.8, 0.9)}
    )
    shipped("small", validation_accuracy=0.875, ranking=ranking)
    shipped("unmeasured")
    teachers()
    lesson = ["digits", "conv_chain", "1", "x", "8", "x", "8", "10", "4", "x", "20"]
    assert rows(capsys) == [
        ["small", *lesson, "87.5%", "+0.88"],
        ["unmeasured", *lesson, "-", "-"],
    ]


def test_without_a_teacher_there_is_only_a_header(capsys, shipped):
    teachers()
    assert rows(capsys) == []


def test_a_name_is_shown_as_it_is(capsys, shipped):
    shipped("hostile", dataset="folder:[red]a")
    teachers()
    assert rows(capsys)[0][1] == "folder:[red]a"


def test_a_damaged_teacher_is_named(tmp_path, shipped):
    (tmp_path / "torn.safetensors").write_bytes(b"")
    with pytest.raises(TeacherError, match=r"torn\.safetensors is not a readable"):
        teachers()
