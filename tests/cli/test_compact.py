from gtn_nas.results.layout import part_files
from gtn_nas.results.store import RunStore

from ..results.samples import record, write_run


def test_parts_are_merged_and_hold_the_same(run_main, tmp_path):
    folder = write_run(tmp_path / "run", [record(0)], [record(1)], [record(2)])
    _, before, _ = run_main("query", "run", "--format", "json")
    code, out, err = run_main("compact", "r*")
    assert (code, out, err) == (0, "run: 3 part files are now 1\n", "")
    assert len(part_files(folder, "candidates")) == 1
    assert run_main("query", "run", "--format", "json")[1] == before


def test_a_run_in_a_bucket_is_compacted_too(run_main, bucket):
    from gtn_nas.storage.bucket import BucketPath

    folder = BucketPath.of(f"{bucket}/run", pause=lambda seconds: None)
    write_run(folder, [record(0)], [record(1)])
    code, out, err = run_main("compact", folder)
    assert (code, out, err) == (0, f"{folder}: 2 part files are now 1\n", "")


def test_a_run_that_is_being_written_is_left_alone(run_main, tmp_path):
    folder = write_run(tmp_path / "run", [record(0)], [record(1)])
    with RunStore.open(folder):
        code, out, err = run_main("compact", "run")
    assert (code, out) == (2, "")
    assert err == "error: another process writes run; wait until it is done\n"
    assert len(part_files(folder, "candidates")) == 2


def test_a_damaged_part_stays_and_is_named(run_main, tmp_path):
    folder = write_run(tmp_path / "run", [record(0)], [record(1)], [record(2)])
    damaged = part_files(folder, "candidates")[1]
    damaged.write_bytes(b"PAR1")
    code, out, err = run_main("compact", "run")
    assert (code, out) == (0, "run: 3 part files are now 2\n")
    assert damaged.name in err
    assert damaged.exists()
